"""Every benchmark explains itself, and refuses missing data and weights in one sentence."""

from pathlib import Path

import pytest

from tests.benchmarks.commands import run

NAMES = (
    "compare_recipes",
    "floor",
    "detection_accuracy",
    "footprint",
    "evidence_speed",
    "engines_side_by_side",
    "faults",
    "time_budget_accuracy",
)
WITHOUT_DATA = ("hostile_prompts", "awq_on_cpu", "seventy_shape")


@pytest.mark.parametrize("name", [*NAMES, *WITHOUT_DATA])
def test_help_explains_the_benchmark_and_shows_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(name, "--help")
    shown = capsys.readouterr().out
    assert stopped.value.code == 0
    assert f"python -m benchmarks.{name}" in shown.partition("examples:")[2]
    assert f"benchmarks/results/{name}.json" in "".join(shown.split())


@pytest.mark.parametrize("name", NAMES)
def test_missing_data_is_one_sentence_and_exit_code_2(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(name, "--data", tmp_path / "none.json", "--results", tmp_path / "r.json") == 2
    assert "none.json does not exist" in capsys.readouterr().err


def test_missing_weights_are_named_with_the_remedy(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOPALIGN_WEIGHTS", str(tmp_path / "nowhere"))
    for name in ("compare_recipes", "floor", "footprint", "faults"):
        assert run(name, "--data", data, "--results", tmp_path / "r.json") == 2
        assert "no model weights at" in capsys.readouterr().err


def test_memory_and_start_are_judged_against_their_limits(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.footprint import GIB, print_footprint

    print_footprint(2 * GIB, [12.0, 4.0])
    print_footprint(4 * GIB, [12.0, 11.0])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith(("peak", "second"))] == ["within"] * 2 + ["OVER"] * 2
