"""Fitting the classifier of task types: each writer is measured by a fit without it, and the weights are repeatable."""

import json
from pathlib import Path

import pytest

from prompts.reading import Question
from prompts.type_classifier import read
from tuning import fit_detection
from utilities.errors import exit_code
from utilities.task_type import TaskType

SUBJECTS = ("mug", "lamp", "scarf", "kettle", "chair", "rug")
WORDINGS = {
    TaskType.RANKING: "Arrange every {} by quality: a) one b) two",
    TaskType.GENERATION: "Compose a slogan for this {}",
}


def writer(folder: Path, number: int) -> Path:
    path = folder / f"writer_{number}.jsonl"
    rows = [
        {"prompt": f"Writer {number}: {wording.format(subject)}", "task_type": task_type, "language": "en"}
        for task_type, wording in WORDINGS.items()
        for subject in SUBJECTS
    ]
    rows.append({"prompt": "Which one?", "task_type": "multiple-choice"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_fit_detects_a_new_wording_and_is_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [str(writer(tmp_path, number)) for number in (1, 2, 3)]
    for name in ("a", "b"):
        assert fit_detection.main(["--rows", *rows, "--output", str(tmp_path / f"{name}.safetensors")]) == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    fitted = read(tmp_path / "a.safetensors")
    scores = fitted.scores(Question("Arrange every spoon by quality: a) one b) two"), "none applies")
    assert scores[TaskType.RANKING] > scores[TaskType.GENERATION]
    assert "writer_2" in capsys.readouterr().out


def test_the_record_names_files_and_the_rates_of_left_out_writers(tmp_path: Path) -> None:
    rows = [str(writer(tmp_path, number)) for number in (1, 2)]
    fit_detection.main(["--rows", *rows, "--output", str(tmp_path / "w.safetensors")])
    record = json.loads((tmp_path / "w.json").read_text(encoding="utf-8"))
    assert record["rows"] == 24
    assert [entry["file"] for entry in record["files"]] == ["writer_1.jsonl", "writer_2.jsonl"]
    assert record["held_out"]["writer"]["writer_1"] == {"rows": 12, "rules": 0.5, "wording": 1.0, "both": 1.0}
    assert set(record["held_out"]) == {"writer", "task_type", "language"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"prompt": "a", "task_type": "sorting"}', "bad.jsonl, line 1: needs a text in 'prompt'"),
        ('{"task_type": "ranking"}', "bad.jsonl, line 1: needs a text in 'prompt'"),
        ('{"prompt": "a", "task_type": "ranking"}', "--rows: two files or more"),
    ],
)
def test_faulty_rows_are_one_sentence_with_the_place(
    tmp_path: Path, line: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(line, encoding="utf-8")
    assert exit_code(lambda: fit_detection.main(["--rows", str(bad), "--output", str(tmp_path / "w.x")])) == 2
    assert complaint in capsys.readouterr().err
