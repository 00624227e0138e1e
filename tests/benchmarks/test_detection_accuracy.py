"""Detection is counted by type, and labelled prompts are read with exact complaints."""

from pathlib import Path

import pytest

from benchmarks.detection_accuracy import Detected, Labelled, read_labelled, summarise
from tests.benchmarks.commands import read, run
from utilities.errors import UserError
from utilities.task_type import TaskType


def detected(true: TaskType, found: TaskType, line: int = 1) -> Detected:
    return Detected(Labelled(line, f"prompt {line}", true is TaskType.MULTIPLE_CHOICE, true), found)


def test_detection_is_counted_by_type_with_and_without_multiple_choice() -> None:
    choice, rank, find = TaskType.MULTIPLE_CHOICE, TaskType.RANKING, TaskType.RETRIEVAL
    report = summarise([detected(choice, choice), detected(rank, find, 2), detected(rank, rank), detected(find, find)])
    assert report["all"] == {"prompts": 4, "right": 3, "accuracy": 0.75}
    assert report["without_multiple_choice"] == {"prompts": 3, "right": 2, "accuracy": 2 / 3}
    assert report["task_types"]["ranking"]["accuracy"] == 0.5
    assert report["confusion"]["ranking"]["retrieval"] == 1
    assert [miss["line"] for miss in report["misses"]] == [2]


def test_the_wordings_of_the_tests_are_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.json"
    assert run("detection_accuracy", "--limit", 20, "--results", path) == 0
    assert read(path)["report"]["all"]["prompts"] == 20
    assert "prompts missed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("[]", "not a JSON object: write the fields of one row"),
        ('{"task_type": "ranking"}', "field 'prompt'"),
        ('{"prompt": "a", "task_type": "sorting"}', "field 'task_type' is 'sorting'"),
        ('{"prompt": "a", "task_type": "ranking", "is_multiple_choice": 1}', "field 'is_multiple_choice' is 1"),
    ],
)
def test_a_faulty_labelled_prompt_is_named_by_line_and_field(tmp_path: Path, line: str, complaint: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "a", "task_type": "ranking"}\n' + line, encoding="utf-8")
    with pytest.raises(UserError, match=rf"p\.jsonl, line 2: {complaint}"):
        read_labelled(path)


def test_multiple_choice_follows_from_the_type_where_it_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"input_field": "a", "task_type": "multiple-choice"}\n{"prompt": "b", "task_type": "ranking"}')
    assert [prompt.is_multiple_choice for prompt in read_labelled(path)] == [True, False]
