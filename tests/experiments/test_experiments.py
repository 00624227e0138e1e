"""Tables of experiments: what is run, what is kept, what is shown beside what was published."""

import fcntl
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation.report.__main__ import main as report
from experiments import run
from experiments.planning import Planned, selected
from experiments.running import asked, run_rows
from experiments.table import PUBLISHED, read_table, settings_of, tables_of
from models.settings import DEFAULT_FILE, load_settings
from tests.evaluation.report.report_runs import FIRST, QUESTIONS, SECOND, make_run
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.typed_yaml import read_mapping

TABLES = Path(run.__file__).parent / "tables"
TABLE = """\
title: Ways to answer
question: Which is better?
of: a giant
settings: {engine: {name: scripted}}
rows:
  - {name: label, settings: {engine: {choice: label}}, published: [0.5, 0.7, null, null, null]}
  - {name: text, settings: {engine: {choice: text}}}
  - {name: only published, published: [0.9, null, null, null, null]}
  - {name: elsewhere, settings: {engine: {name: transformers, weights: no/such/folder}}}
"""


class Evaluations:
    """Stands for processes of local_evaluation.py: counts them and leaves their runs."""

    def __init__(self) -> None:
        self.settings: list[dict[str, Any]] = []
        self.fails = False

    def __call__(self, command: Sequence[str], *, env: dict[str, str], stdout: Any, **_: object) -> "Ended":
        settings = yaml.safe_load(Path(env["SHOPALIGN_SETTINGS"]).read_text(encoding="utf-8"))
        self.settings.append(settings)
        if self.fails:
            stdout.write(b"warming up\nerror: the weights are damaged\n")
            return Ended(2)
        answers = FIRST if settings["engine"]["choice"] == "label" else SECOND
        folder = Path(command[command.index("--output") + 1])
        folder.rmdir()
        make_run(folder, answers)
        return Ended(0)


@dataclass(frozen=True)
class Ended:
    """A process that is over as soon as it is begun."""

    code: int

    def wait(self, timeout: float | None = None) -> int:
        return self.code

    def poll(self) -> int:
        return self.code


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> Evaluations:
    fake = Evaluations()
    monkeypatch.setattr("experiments.running.subprocess.Popen", fake)
    return fake


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "ways.yaml").write_text(TABLE, encoding="utf-8")
    make_run(tmp_path / "any")
    lines = (tmp_path / "any" / "questions.jsonl").read_text(encoding="utf-8")
    (tmp_path / "questions.jsonl").write_text(lines, encoding="utf-8")
    data = ["--data", str(tmp_path / "questions.jsonl")]
    return [str(tmp_path / "ways.yaml"), *data, "--output", str(tmp_path / "out"), "--markdown", str(tmp_path)]


def told(tmp_path: Path) -> dict[str, Any]:
    [part] = json.loads((tmp_path / "out" / "ways.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = part
    return found


@pytest.mark.parametrize("most", [6, 1])
def test_the_command_below_a_table_makes_a_page_of_its_rows(
    evaluations: Evaluations,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    monkeypatch.setattr("experiments.rendering.MOST_RUNS", most)
    run.main(arguments)
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("single questions: ")]
    asked_for = shlex.split(line)[shlex.split(line).index("evaluation.report") + 1 :]
    assert report([*asked_for[:-1], str(tmp_path / "report.html")]) == 0
    title = (tmp_path / "report.html").read_text(encoding="utf-8").partition("<title>")[2].partition("</title>")[0]
    assert title == ("ShopAlign report: label, text" if most > 1 else "ShopAlign report: label")


def test_rows_are_run_with_their_settings_over_the_defaults(evaluations: Evaluations, arguments: list[str]) -> None:
    assert run.main(arguments) == 0
    assert [each["engine"]["choice"] for each in evaluations.settings] == ["label", "text"]
    assert all(each["batch_size"] == 16 and each["engine"]["device"] == "auto" for each in evaluations.settings)


def test_finished_rows_are_not_run_again_unless_something_changed(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    run.main(arguments)
    assert len(evaluations.settings) == 2
    (tmp_path / "ways.yaml").write_text(TABLE.replace("choice: text", "choice: pmi"), encoding="utf-8")
    run.main(arguments)
    assert len(evaluations.settings) == 3
    with (tmp_path / "questions.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n")
    run.main(arguments)
    assert len(evaluations.settings) == 5
    run.main([*arguments, "--fresh"])
    assert len(evaluations.settings) == 7


def test_a_row_that_failed_says_why_takes_no_other_with_it_and_is_run_again(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    evaluations.fails = True
    assert run.main(arguments) == 2
    assert "label failed: error: the weights are damaged" in told(tmp_path)["remarks"]
    evaluations.fails = False
    assert run.main(arguments) == 0
    assert len(evaluations.settings) == 4


def test_scores_stand_beside_the_published_ones_with_the_paired_difference(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    rows = told(tmp_path)["rows"]
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


def test_a_row_whose_weights_are_missing_says_what_it_needs(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    [remark] = told(tmp_path)["remarks"]
    assert remark.startswith("elsewhere was not run: no model weights at")


def test_a_task_that_is_not_scored_is_told_below_the_table(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    for path in (tmp_path / "out" / "runs").glob("*/scores.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        record["tasks"]["entities"] |= {"score": None, "not_scored": "no model in /some/where/else: get it"}
        path.write_text(json.dumps(record), encoding="utf-8")
    run.main(arguments)
    expected = "entities is not scored and left out of the means of all rows: no model in where/else: get it"
    assert told(tmp_path)["remarks"][0] == expected
    assert f"- {expected}\n" in (tmp_path / "ways.md").read_text(encoding="utf-8")
    assert told(tmp_path)["rows"]["text"]["unscored"] == {"entities": "no model in /some/where/else: get it"}


def test_what_the_table_says_of_missing_weights_replaces_the_engines_advice(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "ways.yaml").write_text(TABLE + "needs: make them by `python -m some.tool`\n", encoding="utf-8")
    run.main(arguments)
    [remark] = told(tmp_path)["remarks"]
    assert remark == ("elsewhere was not run: no model weights at no/such/folder: make them by `python -m some.tool`")


def test_a_change_of_the_code_asks_for_new_rows_and_keeps_the_old_ones(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.main(arguments)
    for module in ("planning", "running"):
        monkeypatch.setattr(f"experiments.{module}.code_digest", lambda: "other")
    run.main([*arguments, "--any-code"])
    assert len(evaluations.settings) == 2
    assert any(line.startswith("made with another state of the code") for line in told(tmp_path)["remarks"])
    run.main(arguments)
    assert len(evaluations.settings) == 4
    assert [line for line in told(tmp_path)["remarks"] if "state" in line] == []
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 4


def test_a_row_is_not_run_by_code_that_changed_after_the_command_began(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.running.code_digest", lambda: "other")
    assert run.main(arguments) == 2
    assert evaluations.settings == []
    assert "the code was changed" in told(tmp_path)["remarks"][-1]


def test_two_commands_do_not_run_the_same_row_at_once(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    for scores in (tmp_path / "out" / "runs").glob("*/scores.json"):
        scores.unlink()
    locks = [path.open("w") for path in (tmp_path / "out" / "runs").glob("*/lock")]
    for lock in locks:
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert run.main(arguments) == 2
    assert len(evaluations.settings) == 2
    assert any("another command is running it" in line for line in told(tmp_path)["remarks"])
    for lock in locks:
        lock.close()
    assert run.main(arguments) == 0


def test_rows_of_the_same_settings_are_run_once(evaluations: Evaluations, arguments: list[str], tmp_path: Path) -> None:
    twin = TABLE.replace("choice: text", "choice: label")
    (tmp_path / "ways.yaml").write_text(twin, encoding="utf-8")
    assert run.main(arguments) == 0
    assert len(evaluations.settings) == 1
    assert told(tmp_path)["rows"]["text"]["columns"]["score"]["difference"] == [0.0, 0.0, 0.0]


def test_all_tables_are_run_without_those_that_have_no_questions_and_end_with_what_is_missing(
    evaluations: Evaluations,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    (tmp_path / "ways.yaml").rename(folder / "ways.yaml")
    (folder / "order.yaml").write_text(TABLE + "task_types: [ranking]\n", encoding="utf-8")
    monkeypatch.setattr("experiments.run._TABLES", folder)
    assert run.main(["--all", *arguments[1:]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("order was left out: ") and "no question of ranking" in line for line in lines)
    assert lines[-2].startswith("ways: elsewhere was not run: no model weights at no/such/folder")
    assert (tmp_path / "ways.md").is_file()
    assert not (tmp_path / "order.md").exists()


def test_one_page_holds_one_table(evaluations: Evaluations, arguments: list[str], tmp_path: Path) -> None:
    page = tmp_path / "pages" / "mine.md"
    assert run.main([*arguments[:-1], str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("# Ways to answer\n")
    with pytest.raises(UserError, match="one page for 2 tables"):
        run.main([arguments[0], *arguments[:-1], str(page)])


def test_the_bar_follows_the_questions_of_a_row(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"loading: 100%|x| 9/9 [00:01]\n")
    assert asked(tmp_path / "log") == 0
    with (tmp_path / "log").open("ab") as log:
        log.write(b"x" * 9000 + b"\rpredicting:   0%|  | 0/96 [00:00<?]\rpredicting:  33%|x  | 32/96 [00:20<00:40]")
    assert asked(tmp_path / "log") == 32


def test_only_the_questions_of_the_tables_task_types_are_asked(arguments: list[str], tmp_path: Path) -> None:
    data, output = tmp_path / "questions.jsonl", tmp_path / "out"
    chosen = selected(data, ["multiple-choice"], 3, output)
    lines = [json.loads(line) for line in chosen.read_text(encoding="utf-8").splitlines()]
    assert [line["input_field"] for line in lines] == [question.input_field for question in QUESTIONS[:3]]
    assert selected(data, [], 0, output) == data
    with pytest.raises(UserError, match="holds no question of ranking"):
        selected(data, ["ranking"], 0, output)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title:", "titel:", "unknown key titel"),
        ("name: text", "name: label", "rows need a name each"),
        ("0.7, null", "0.7", "published holds 4 figures"),
        ("settings: {engine: {name: scripted}}", "task_types: [rank]", "there is no rank"),
        ("choice: label", "choice: best", "engine.choice is 'best'"),
    ],
)
def test_a_mistake_in_a_table_is_one_sentence(arguments: list[str], old: str, new: str, words: str) -> None:
    file = Path(arguments[0])
    file.write_text(TABLE.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        run.main(arguments)


def test_every_table_makes_settings_that_the_package_accepts(tmp_path: Path) -> None:
    defaults = read_mapping(DEFAULT_FILE, "the settings", "")
    files = tables_of(TABLES)
    assert len(files) >= 12
    for file in files:
        table = read_table(file)
        for row in table.run:
            values = settings_of(table, row, defaults, tmp_path)
            (tmp_path / "settings.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
            load_settings(tmp_path / "settings.yaml")


PAGE = """\
# Ways to answer

Which is better?

    python -m experiments.run ways.yaml --data questions.jsonl --seed 3

Run on 2020-02-20; seed of the intervals 3. shopalign 1.

Settings over models/settings.yaml:

- all rows: `{"engine": {"name": "scripted"}}`
- label: `{"engine": {"choice": "label"}}`
- text: `{"engine": {"choice": "text"}}`
- elsewhere: `{"engine": {"name": "transformers", "weights": "no/such/folder"}}`

## questions.jsonl

6 questions of questions.jsonl; * where the paired 95 % interval against label excludes 0 and six questions \
or more changed. In brackets: a giant.

- weights (SHA-256, base+adapter) none: all rows

|  | score | multiple choice | entities | difference of the score, 95 % | s a question | fallbacks |
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


def test_an_evaluation_that_is_interrupted_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen

    def sleeping(_: object, **options: Any) -> subprocess.Popen[bytes]:
        started.append(begin([sys.executable, "-c", "import time; time.sleep(60)"], **options))
        return started[0]

    def interrupt(_: Path) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.running.subprocess.Popen", sleeping)
    monkeypatch.setattr("experiments.running.asked", interrupt)
    monkeypatch.setattr("experiments.running._LOOK_SECONDS", 0.05)
    monkeypatch.setattr("experiments.running.code_digest", lambda: "same")
    (tmp_path / "questions.jsonl").write_text("{}\n", encoding="utf-8")
    row = read_table(TABLES / "orders.yaml").run[0]
    with pytest.raises(KeyboardInterrupt):
        run_rows([Planned(row, tmp_path / "questions.jsonl", tmp_path, "same")])
    assert started[0].poll() is not None


def test_the_environment_of_a_row_names_its_settings_and_nothing_else(
    evaluations: Evaluations, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPALIGN_MODEL", "no such model")
    with pytest.raises(UserError, match=r"ways\.yaml, row 'label': .*no such model"):
        run.main(arguments)


def test_without_a_run_of_the_first_row_no_difference_is_shown(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    lost = TABLE.replace("{engine: {choice: label}}", "{engine: {name: transformers, weights: no/weights}}")
    more = "  - {name: third, settings: {engine: {choice: decode}}}\n"
    (tmp_path / "ways.yaml").write_text(lost + more, encoding="utf-8")
    assert run.main(arguments) == 0
    rows = told(tmp_path)["rows"]
    assert [rows[name]["columns"]["score"]["difference"] for name in ("text", "third")] == [None, None]
    assert "no differences are shown: label, which rows are compared with, has no run" in told(tmp_path)["remarks"]


@pytest.mark.parametrize("name", ["answers.jsonl", "scores.json", "code.json"])
def test_a_damaged_run_is_told_and_takes_no_other_row_with_it(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path, name: str
) -> None:
    run.main(arguments)
    folder = Path(told(tmp_path)["rows"]["text"]["run"])
    (folder / name).write_text("{", encoding="utf-8")
    code = run.main(arguments)
    if name == "code.json":
        assert (code, told(tmp_path)["rows"]["text"]["code"]) == (0, "unknown")
        return
    assert code == 2
    assert any(line.startswith("text failed: its run is damaged") and "--fresh" in line for line in remarks(tmp_path))
    assert told(tmp_path)["rows"]["label"]["columns"]["score"]["score"][0] > 0
    assert run.main([*arguments, "--fresh"]) == 0


def remarks(tmp_path: Path) -> list[str]:
    found: list[str] = told(tmp_path)["remarks"]
    return found


def test_a_fresh_run_that_fails_leaves_the_finished_one(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    evaluations.fails = True
    assert run.main([*arguments, "--fresh"]) == 2
    assert run.main(arguments) == 0
    assert len(told(tmp_path)["rows"]["text"]["columns"]) == 3


@pytest.mark.parametrize("option", ["--output", "--markdown"])
def test_a_place_where_nothing_can_be_written_is_refused_before_anything_runs(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path, option: str
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=f"{option} .*: nothing can be written in"):
        run.main([*arguments, option, str(tmp_path / "file" / "pages")])
    assert evaluations.settings == []


def test_questions_that_are_not_there_and_a_seed_that_is_none_are_one_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"nothere\.json"):
        run.main([arguments[0], "--data", "nothere.json"])
    with pytest.raises(SystemExit):
        run.main([*arguments, "--seed", "-1"])
    assert "'-1' is not a whole number from 0" in capsys.readouterr().err


def test_two_tables_of_one_name_are_refused(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "ways.yaml").write_text(TABLE, encoding="utf-8")
    with pytest.raises(UserError, match="two tables are called ways"):
        run.main([arguments[0], str(tmp_path / "more" / "ways.yaml"), *arguments[1:]])


def test_the_command_on_a_page_is_whole_and_a_name_cannot_break_its_table(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "ways.yaml").write_text(TABLE.replace("name: text", "name: 'a | b'"), encoding="utf-8")
    run.main([*arguments, "--adapters", str(tmp_path / "tuned"), "--any-code", "--limit", "4"])
    page = (tmp_path / "ways.md").read_text(encoding="utf-8")
    assert "ways.yaml --data questions.jsonl --limit 4 --adapters tuned --seed 0 --any-code\n" in page
    assert "| a \\| b | " in page
