"""A local run without time limits, with those of the track, killed, or full of fallbacks."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

import local_evaluation
from tests.evaluation.echoing import Describing
from tests.local_evaluation.small_run import ROWS, saved
from utilities.errors import UserError


class Clocked(Describing):
    """A model with time limits, which falls back for each "9"."""

    def __init__(self) -> None:
        super().__init__()
        self.fallbacks: dict[str, int] = {"out of time": 0}
        self.events = {"questions answered by short": 1}
        self.limits = "the evaluator's"

    def lift_limits(self) -> None:
        self.limits = "none"

    def batch_predict(self, batch: dict[str, list[str]], is_multiple_choice: bool) -> list[str]:
        self.fallbacks["out of time"] += batch["prompt"].count("9")
        return super().batch_predict(batch, is_multiple_choice)


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch) -> list[Clocked]:
    made: list[Clocked] = []

    def make() -> Clocked:
        made.append(Clocked())
        return made[-1]

    module = ModuleType("models.user_config")
    module.UserModel = make  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "models.user_config", module)
    return made


def test_a_local_run_has_no_time_limits_unless_the_tracks_are_rehearsed(
    data: Path, tmp_path: Path, clocked: list[Clocked], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--data", str(data), "--output", str(tmp_path), "--no-report"]
    assert local_evaluation.main(command) == 0
    assert (clocked[0].limits, saved(tmp_path)["clock"]) == ("none", "none")
    printed = capsys.readouterr().out
    assert "s a question on this machine; track" in printed
    assert "clock cut" not in printed
    assert local_evaluation.main([*command, "--clock", "track"]) == 0
    assert (clocked[1].limits, saved(tmp_path)["clock"]) == ("the evaluator's", "track")
    first = capsys.readouterr().out.splitlines()[0]
    cut = (
        "the track's clock cut 2 of 4 answers: 1 are fallbacks, 1 are cheaper answers, 0 are texts that a timeout ended"
    )
    assert first == cut


@pytest.mark.parametrize(("nines", "code"), [(2, 0), (3, 1), (4, 1)])
def test_a_run_of_fallbacks_is_no_score_of_the_model(
    tmp_path: Path, clocked: list[Clocked], capsys: pytest.CaptureFixture[str], nines: int, code: int
) -> None:
    texts = ["9"] * nines + ["1"] * (4 - nines)
    rows = [{**ROWS[0], "input_field": text, "task": f"task {number}"} for number, text in enumerate(texts)]
    data = tmp_path / "data.json"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    command = ["--data", str(data), "--output", str(tmp_path / "out"), "--no-report"]
    assert local_evaluation.main(command) == code
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("NOT THE MODEL'S SCORES") == bool(code)
    assert saved(tmp_path / "out")["failed_by"] == ("out of time" if code else None)
    assert not code or first.endswith(
        f"{nines} of 4 questions have a fallback instead of the model's answer (out of time)"
    )


@pytest.mark.usefixtures("user_model")
def test_a_finished_run_leaves_no_journal_and_is_asked_anew(data: Path, tmp_path: Path) -> None:
    for _ in range(2):
        local_evaluation.main(["--data", str(data), "--output", str(tmp_path), "--no-report"])
        assert not (tmp_path / "unfinished.jsonl").exists()


def test_a_killed_run_goes_on_with_the_same_command(
    data: Path, tmp_path: Path, clocked: list[Clocked], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    command = ["--data", str(data), "--output", str(tmp_path), "--no-report"]
    asked, real = [0], Clocked.batch_predict

    def dying(self: Clocked, batch: dict[str, list[str]], is_multiple_choice: bool) -> list[str]:
        asked[0] += 1
        if asked[0] == 2:
            raise KeyboardInterrupt
        return real(self, batch, is_multiple_choice)

    with monkeypatch.context() as patch:
        patch.setattr(Clocked, "batch_predict", dying)
        with pytest.raises(KeyboardInterrupt):
            local_evaluation.main(command)
    assert local_evaluation.main(command) == 0
    assert "questions were answered before the run was ended; it continues" in capsys.readouterr().out
    assert len(clocked[0].calls) + len(clocked[1].calls) == 3
    continued = saved(tmp_path)
    assert local_evaluation.main(command) == 0
    whole = saved(tmp_path)
    assert {**continued, "seconds": None} == {**whole, "seconds": None}


@pytest.mark.usefixtures("user_model")
def test_samples_ask_some_questions_only(data: Path, tmp_path: Path) -> None:
    local_evaluation.main(["--data", str(data), "--output", str(tmp_path), "--samples", "2,options", "--no-report"])
    assert saved(tmp_path)["data"]["questions"] == 3


@pytest.mark.usefixtures("no_user_model")
@pytest.mark.parametrize("option", ["--model", "--weights", "--adapter", "--settings", "--set"])
def test_options_of_a_model_do_not_go_with_saved_answers(data: Path, tmp_path: Path, option: str) -> None:
    command = ["--data", str(data), "--output", str(tmp_path), "--answers", str(data), option, "x"]
    with pytest.raises(UserError, match=f"{option} is for a model that is asked: leave it out beside --answers"):
        local_evaluation.main(command)
