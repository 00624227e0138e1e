import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import local_evaluation
from evaluation.question_record import read_answers
from tests.local_evaluation.small_run import ANSWERS, saved
from utilities.errors import UserError
from utilities.files import write_json_lines


@pytest.mark.usefixtures("user_model")
def test_the_user_model_is_asked_scored_and_recorded(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "made" / "here"
    assert local_evaluation.main(["--data", str(data), "--output", str(output)]) == 0
    record = saved(output)
    assert record["overall"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert record["tasks"]["options"]["score"] == 0.5
    assert set(record["tracks"]) == {"unknown"}
    assert set(record["seconds"]) == {"load", "predict", "per_question", "slowest_batch"}
    assert record["seconds"]["slowest_batch"]["limit"] in (10.0, 20.0)
    assert record["fallbacks"]["total"] == 3
    assert {"python", "shopalign", "torch", "transformers", "numpy"} <= set(record["versions"])
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    assert record["data"] == {"path": str(data), "sha256": digest, "questions": 4}
    printed = capsys.readouterr().out
    assert "fallbacks: 3 (empty prompt: 2, engine error: 1)" in printed
    assert "within the limit of" in printed
    assert str(output / "scores.json") in printed


@pytest.mark.usefixtures("user_model")
def test_saved_answers_keep_the_order_of_the_data_and_stay_readable(data: Path, tmp_path: Path) -> None:
    local_evaluation.main(["--data", str(data), "--output", str(tmp_path)])
    lines = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == ['"2"', '"1,2"', '"9"', '"赤い dress"']


@pytest.mark.usefixtures("user_model")
def test_limit_takes_the_first_lines(data: Path, tmp_path: Path) -> None:
    local_evaluation.main(["--data", str(data), "--output", str(tmp_path), "--limit", "2"])
    assert (list(saved(tmp_path)["tasks"]), saved(tmp_path)["data"]["questions"]) == (["options", "shelf"], 2)


@pytest.mark.usefixtures("no_user_model")
def test_saved_answers_are_scored_without_a_model(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = tmp_path / "saved.jsonl"
    answers.write_text("\n".join(json.dumps(answer) for answer in ANSWERS), encoding="utf-8")
    output = tmp_path / "outputs"
    local_evaluation.main(["--data", str(data), "--output", str(output), "--answers", str(answers)])
    record = saved(output)
    assert record["overall"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert set(record["seconds"].values()) == {None}
    assert (record["fallbacks"], record["settings"], record["weights"]) == (None, None, None)
    assert "fallbacks" not in capsys.readouterr().out


@pytest.mark.usefixtures("user_model")
def test_answers_survive_although_scoring_fails(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("evaluation.scores.score_answers", fail)
    with pytest.raises(MemoryError):
        local_evaluation.main(["--data", str(data), "--output", str(tmp_path)])
    assert read_answers(tmp_path / "answers.jsonl") == ANSWERS


@pytest.mark.usefixtures("user_model")
@pytest.mark.parametrize(
    "error", [ValueError("two\nlines"), RecursionError("deep"), UserError("fix it"), OSError("full")]
)
def test_a_report_that_cannot_be_written_takes_nothing_from_a_scored_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("evaluation.report.page.write_report", fail)
    assert local_evaluation.main(["--data", str(data), "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    words = " ".join(str(error).split())
    assert said.startswith("no report: ")
    assert said.endswith(words)
    assert isinstance(error, UserError | OSError) or type(error).__name__ in said
    assert saved(tmp_path)["overall"] is not None


@given(answers=st.lists(st.text(st.characters(exclude_categories=[])), min_size=1, max_size=5))
def test_any_answers_are_read_back(tmp_path_factory: pytest.TempPathFactory, answers: list[str]) -> None:
    path = tmp_path_factory.mktemp("answers") / "answers.jsonl"
    write_json_lines(path, answers)
    assert read_answers(path) == answers


@pytest.mark.usefixtures("no_user_model")
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('"a"\n', r"holds 1 answers to 2 questions"),
        ('"a"\n"b"\n"c"', r"holds 3 answers to 2 questions"),
        ('"a"\n2', r"line 2: not a JSON string"),
        ('"a"\nnull', r"line 2: not a JSON string"),
        ('"a"\nb', r"line 2: not JSON"),
    ],
)
def test_answers_that_do_not_fit_are_refused(data: Path, tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "saved.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=problem):
        local_evaluation.main(
            ["--data", str(data), "--output", str(tmp_path / "out"), "--answers", str(path), "--limit", "2"]
        )


@pytest.mark.usefixtures("no_user_model")
def test_an_output_folder_that_cannot_be_made_is_refused_before_the_model_loads(data: Path) -> None:
    with pytest.raises(UserError, match=r"--output: nothing can be written in"):
        local_evaluation.main(["--data", str(data), "--output", str(data)])


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "all", "²"])
def test_a_limit_below_one_is_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        local_evaluation.main(["--limit", limit])
    assert "is not a whole number from 1" in capsys.readouterr().err


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(local_evaluation.__file__)
    return subprocess.run([sys.executable, str(program), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--model", "--weights", "--adapter", "--samples"])
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_value_is_refused_and_does_not_mean_the_default(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        local_evaluation.main([option, value])
    assert ended.value.code == 2
    assert f"argument {option}: the value is empty" in capsys.readouterr().err


def test_a_missing_data_file_ends_in_one_line_and_exit_code_2(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.json"
    finished = run_program("--data", str(missing))
    assert finished.returncode == 2
    assert finished.stderr == f"error: {missing} does not exist: name an existing file\n"


@pytest.mark.slow
def test_help_loads_nothing_heavy_and_shows_examples() -> None:
    check = (
        "import sys, local_evaluation\n"
        "try: local_evaluation.main(['--help'])\n"
        "finally: assert not {'torch', 'numpy', 'transformers'} & set(sys.modules)"
    )
    folder = Path(local_evaluation.__file__).parent
    finished = subprocess.run([sys.executable, "-c", check], cwd=folder, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "python local_evaluation.py --limit 8" in finished.stdout
