"""The command `python -m submission.time_budget`: tables, JSON and errors in one sentence."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from submission.time_budget.__main__ import main
from utilities.errors import exit_code
from utilities.tracks import TRACKS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_tiny_default")]


def run(*options: object) -> int:
    return exit_code(lambda: main([str(option) for option in options]))


def test_the_command_prints_all_tracks_memory_and_assumptions(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", "llama3-70b-awq", "--gpu", "t4", "--count", 4, "--track", 3, "--data", data) == 0
    lines = capsys.readouterr().out.splitlines()
    tracks = [line.split()[0] for line in lines if line.split()[-4:-3] in (["within"], ["OVER"]) or "within" in line]
    assert tracks == ["1", "2", "3", "4", "5"]
    for name in ("prefill_efficiency", "weights", "track 3 by task type", "decode_efficiency", "3.18"):
        assert any(name in line for line in lines)


def test_the_figures_are_written_as_json(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "budget.json"
    options = ("--model", "qwen2-72b-awq", "--gpu", "l4", "--all-tracks", "--data", data, "--questions", "3=100")
    assert run(*options, "--output", output) == 0
    found = json.loads(output.read_text(encoding="utf-8"))
    assert [track["track"] for track in found["tracks"]] == [track.number for track in TRACKS]
    assert sum(share["questions"] for share in found["tracks"][2]["shares"]) == pytest.approx(100)
    assert found["count"] == 4
    assert all(track["floor_minutes"] < track["minutes"] for track in found["tracks"])


def test_a_model_that_does_not_fit_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model", "llama3-70b-awq", "--gpu", "t4", "--count", 1, "--data", data) == 0
    out = capsys.readouterr().out
    assert "DOES NOT FIT" in out
    assert out.count("NO MEMORY") == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--gpu", "abacus"), "there is no device 'abacus'"),
        (("--gpu", "t4", "--model", "gpt-2"), "there is no model 'gpt-2'"),
        (("--gpu", "t4", "--track", "6"), "there is no track 6"),
        (("--gpu", "t4", "--questions", "many"), "there is no track many"),
        (("--gpu", "t4", "--questions", "9=3"), "there is no track 9"),
        (("--gpu", "t4", "--data", "nowhere.json"), "nowhere.json does not exist"),
        (("--gpu", "t4", "--model", "llama3-8b", "--count", "3"), "--count 3: that many devices cannot share"),
    ],
)
def test_a_wrong_option_is_answered_with_one_sentence_and_exit_code_2(
    options: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*options) == 2
    message = capsys.readouterr().err
    assert said in message
    assert "Traceback" not in message
    assert message.count("error:") == 1


def test_a_folder_as_output_is_refused_before_anything_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evaluation.questions.read_questions", lambda *_: pytest.fail("it was counted"))
    assert exit_code(lambda: main(["--gpu", "t4", "--output", str(tmp_path)])) == 2
    assert capsys.readouterr().err == f"error: --output {tmp_path} is a folder: name a file in it\n"
