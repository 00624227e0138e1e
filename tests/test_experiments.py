"""Tables of experiments: what is run, what is kept, what is shown beside what was published."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments import run
from experiments.planning import plan, selected
from experiments.rendering import Filled, markdown
from experiments.table import PUBLISHED, read_table, settings_of, tables_of
from models.settings import DEFAULT_FILE, load_settings
from tests.report_runs import FIRST, QUESTIONS, SECOND, make_run
from utilities.errors import UserError
from utilities.typed_yaml import read_mapping

TABLES = Path(run.__file__).parent / "tables"
TABLE = """\
title: Ways to answer
question: Which is better?
of: a large model
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

    def __call__(self, command: Sequence[str], *, env: dict[str, str], stdout: Any, **_: object) -> Any:
        settings = yaml.safe_load(Path(env["SHOPALIGN_SETTINGS"]).read_text(encoding="utf-8"))
        self.settings.append(settings)
        if self.fails:
            stdout.write(b"warming up\nerror: the weights are damaged\n")
            return subprocess.CompletedProcess(command, 2)
        answers = FIRST if settings["engine"]["choice"] == "label" else SECOND
        folder = Path(command[command.index("--output") + 1])
        folder.rmdir()
        make_run(folder, answers)
        return subprocess.CompletedProcess(command, 0)


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> Evaluations:
    fake = Evaluations()
    monkeypatch.setattr("experiments.running.subprocess.run", fake)
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
    assert str(tmp_path) not in page.replace("no/such", "")


def test_a_row_whose_weights_are_missing_says_what_it_needs(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    [remark] = told(tmp_path)["remarks"]
    assert remark.startswith("elsewhere was not run: no model weights at")


def test_only_the_questions_of_the_tables_task_types_are_asked(arguments: list[str], tmp_path: Path) -> None:
    data, output = tmp_path / "questions.jsonl", tmp_path / "out"
    chosen = selected(data, ["multiple-choice"], 3, output)
    lines = [json.loads(line) for line in chosen.read_text(encoding="utf-8").splitlines()]
    assert [line["input_field"] for line in lines] == [question.input_field for question in QUESTIONS[:3]]
    assert selected(data, [], 0, output) == data
    with pytest.raises(UserError, match="holds no question of ranking"):
        selected(data, ["ranking"], 0, output)


def test_the_same_weights_elsewhere_are_the_same_row(tmp_path: Path, tiny_folder: Path, arguments: list[str]) -> None:
    from tests.tiny_adapter import save_tiny_adapter

    rows = "rows: [{name: one, settings: {engine: {adapter: '{adapters}/one'}}}]\n"
    settings = f"settings: {{engine: {{weights: {tiny_folder}}}}}\n"
    (tmp_path / "t.yaml").write_text(f"title: t\nquestion: q\n{settings}{rows}", encoding="utf-8")
    folders = []
    for place, seed in (("here", 1), ("there", 1), ("other", 2)):
        save_tiny_adapter(tmp_path / place / "one", tiny_folder, seed)
        table = read_table(tmp_path / "t.yaml")
        [planned] = plan(table, tmp_path / "questions.jsonl", 0, tmp_path / "out", tmp_path / place)
        folders.append(planned.folder)
    assert folders[0] == folders[1] != folders[2]


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


def test_a_page_names_its_command_and_leaves_no_row_out(tmp_path: Path) -> None:
    (tmp_path / "ways.yaml").write_text(TABLE, encoding="utf-8")
    table = read_table(tmp_path / "ways.yaml")
    page = markdown(
        [Filled(table, Path("mine.jsonl"), [], {}, {"text": "broken"}, 0)], ["experiments/tables/ways.yaml"]
    )
    assert "    python -m experiments.run experiments/tables/ways.yaml" in page
    assert all(f"| {row.name} |" in page for row in table.rows)
    assert "- text failed: broken" in page
