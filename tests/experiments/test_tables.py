"""Tables: the packaged ones are valid, mistakes are one sentence, questions are selected by task type."""

import json
from pathlib import Path

import pytest
import yaml

from experiments import run
from experiments.row_plan import selected
from experiments.row_settings import settings_of
from experiments.table import read_table
from models.settings import DEFAULT_FILE, load_settings
from tests.evaluation.report.report_runs import QUESTIONS
from tests.experiments.evaluations import TABLE
from utilities.errors import UserError
from utilities.typed_yaml import read_mapping


def test_every_table_makes_settings_that_the_package_accepts(tmp_path: Path) -> None:
    defaults = read_mapping(DEFAULT_FILE, "the settings", "")
    files = sorted(run.TABLES.glob("*.yaml"))
    assert len(files) >= 12
    for file in files:
        table = read_table(file)
        for row in table.run:
            values = settings_of(table, row, defaults, tmp_path)
            (tmp_path / "settings.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
            load_settings(tmp_path / "settings.yaml")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title:", "titel:", "unknown key titel"),
        ("name: text", "name: label", "each row needs a unique name"),
        ("0.7, null", "0.7", "published holds 4 figures"),
        (
            "settings: {engine: {name: scripted}}",
            "task_types: [rank]",
            "unknown type rank",
        ),
        ("choice: label", "choice: best", "engine.choice is 'best'"),
    ],
)
def test_a_mistake_in_a_table_is_one_sentence(arguments: list[str], old: str, new: str, words: str) -> None:
    file = Path(arguments[0])
    file.write_text(TABLE.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        run.main(arguments)


def test_only_the_questions_of_the_tables_task_types_are_asked(arguments: list[str], tmp_path: Path) -> None:
    data, output = tmp_path / "questions.jsonl", tmp_path / "out"
    chosen = selected(data, ["multiple-choice"], 3, output)
    lines = [json.loads(line) for line in chosen.read_text(encoding="utf-8").splitlines()]
    assert [line["input_field"] for line in lines] == [question.input_field for question in QUESTIONS[:3]]
    assert selected(data, [], 0, output) == data
    with pytest.raises(UserError, match="holds no question of ranking"):
        selected(data, ["ranking"], 0, output)
