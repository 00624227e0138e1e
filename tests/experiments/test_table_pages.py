"""Results of a table: scores beside published ones, paired differences, and remarks on every gap."""

import json
import shlex
from datetime import date
from pathlib import Path

import pytest

from evaluation.report.__main__ import main as report
from experiments import run
from experiments.table import PUBLISHED
from tests.experiments.evaluations import TABLE, Evaluations, filled
from utilities.files import ROOT

PAGE = """\
# Ways to answer

Which is better?

    python -m experiments.run ways.yaml --data questions.jsonl --seed 3

Run on 2020-02-20; seed of the intervals 3. shopalign 1.

Changes to models/settings.yaml:

- all rows: `{"engine": {"name": "scripted"}}`
- label: `{"engine": {"choice": "label"}}`
- text: `{"engine": {"choice": "text"}}`
- elsewhere: `{"engine": {"name": "transformers", "weights": "no/such/folder"}}`

## questions.jsonl

6 questions of questions.jsonl; * where the paired 95 % interval against label excludes 0 and six questions \
or more changed. In brackets: a giant.

- weights (SHA-256, base+adapter) none: all rows

|  | score | multiple choice | entities | score difference [95 %] | s/question | fallbacks |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| label | 0.583 (0.500) | 0.500 (0.700) | 0.667 |  | 2.00 | 0 |
| text | 0.542 | 0.750 | 0.333 | -0.042 [-0.500, +0.250] | 2.00 | 0 |
| only published | - (0.900) |  |  |  |  |  |
| elsewhere |  |  |  |  |  |  |

- elsewhere was not run: no model weights at no/such/folder: make them
"""


class Today(date):
    @classmethod
    def today(cls) -> "Today":
        return cls(2020, 2, 20)


def test_a_page_is_written_like_this(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.running.date", Today)
    (tmp_path / "ways.yaml").write_text(TABLE + "needs: make them\n", encoding="utf-8")
    run.main([*arguments, "--seed", "3"])
    assert (tmp_path / "ways.md").read_text(encoding="utf-8") == PAGE


def test_scores_stand_beside_the_published_ones_with_the_paired_difference(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    rows = filled(tmp_path)["rows"]
    assert rows["label"]["columns"]["multiple choice"]["score"][0] == 0.5
    assert rows["text"]["columns"]["multiple choice"]["score"][0] == 0.75
    assert rows["text"]["columns"]["multiple choice"]["difference"][0] == 0.25
    assert (rows["text"]["columns"]["score"]["better"], rows["text"]["columns"]["score"]["worse"]) == (1, 1)
    assert rows["label"]["columns"]["score"]["difference"] is None
    assert rows["label"]["published"] == dict(zip(PUBLISHED, [0.5, 0.7, None, None, None], strict=True))
    page = (tmp_path / "ways.md").read_text(encoding="utf-8")
    assert "| label | " in page
    assert "(0.700)" in page
    assert "| only published | - (0.900) |" in page
    assert str(tmp_path) not in page
    assert str(ROOT) not in page


def test_the_command_on_a_page_is_whole_and_a_name_cannot_break_its_table(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "ways.yaml").write_text(TABLE.replace("name: text", "name: 'a | b'"), encoding="utf-8")
    run.main([*arguments, "--adapters", str(tmp_path / "tuned"), "--any-code", "--limit", "4"])
    page = (tmp_path / "ways.md").read_text(encoding="utf-8")
    assert "ways.yaml --data questions.jsonl --limit 4 --adapters tuned --seed 0 --any-code\n" in page
    assert "| a \\| b | " in page


@pytest.mark.parametrize("most", [6, 1])
def test_the_command_below_a_table_makes_a_page_of_its_rows(
    evaluations: Evaluations,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    monkeypatch.setattr("experiments.filled_table.MOST_RUNS", most)
    run.main(arguments)
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("single questions: ")]
    asked_for = shlex.split(line)[shlex.split(line).index("evaluation.report") + 1 :]
    assert report([*asked_for[:-1], str(tmp_path / "report.html")]) == 0
    title = (tmp_path / "report.html").read_text(encoding="utf-8").partition("<title>")[2].partition("</title>")[0]
    assert title == ("ShopAlign report: label, text" if most > 1 else "ShopAlign report: label")


def test_a_task_that_is_not_scored_is_named_below_the_table(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    for path in (tmp_path / "out" / "runs").glob("*/scores.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        record["tasks"]["entities"] |= {"score": None, "not_scored": "no model in /some/where/else: get it"}
        path.write_text(json.dumps(record), encoding="utf-8")
    run.main(arguments)
    expected = "entities is not scored and left out of the means of all rows: no model in where/else: get it"
    assert filled(tmp_path)["remarks"][0] == expected
    assert f"- {expected}\n" in (tmp_path / "ways.md").read_text(encoding="utf-8")
    assert filled(tmp_path)["rows"]["text"]["unscored"] == {"entities": "no model in /some/where/else: get it"}


def test_a_row_whose_weights_are_missing_says_what_it_needs(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    [remark] = filled(tmp_path)["remarks"]
    assert remark.startswith("elsewhere was not run: no model weights at")


def test_what_the_table_says_of_missing_weights_replaces_the_engines_advice(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "ways.yaml").write_text(TABLE + "needs: make them by `python -m some.tool`\n", encoding="utf-8")
    run.main(arguments)
    [remark] = filled(tmp_path)["remarks"]
    assert remark == ("elsewhere was not run: no model weights at no/such/folder: make them by `python -m some.tool`")


def test_a_row_that_failed_says_why_takes_no_other_with_it_and_is_run_again(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    evaluations.fails = True
    assert run.main(arguments) == 2
    assert "label failed: error: the weights are damaged" in filled(tmp_path)["remarks"]
    evaluations.fails = False
    assert run.main(arguments) == 0
    assert len(evaluations.settings) == 4


def test_without_a_run_of_the_first_row_no_difference_is_shown(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    lost = TABLE.replace("{engine: {choice: label}}", "{engine: {name: transformers, weights: no/weights}}")
    more = "  - {name: third, settings: {engine: {choice: decode}}}\n"
    (tmp_path / "ways.yaml").write_text(lost + more, encoding="utf-8")
    assert run.main(arguments) == 0
    rows = filled(tmp_path)["rows"]
    assert [rows[name]["columns"]["score"]["difference"] for name in ("text", "third")] == [None, None]
    assert "no differences are shown: the baseline row label has no run" in filled(tmp_path)["remarks"]
