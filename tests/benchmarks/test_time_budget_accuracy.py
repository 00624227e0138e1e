"""The time budget's prediction against the clock."""

from pathlib import Path

import pytest

from benchmarks import time_budget_accuracy
from models.settings import WEIGHTS_VARIABLE
from utilities.files import ROOT


@pytest.mark.slow
def test_accuracy_is_measured_once_and_taken_from_the_results_afterwards(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tiny_folder))
    options = [
        "--data",
        str(ROOT / "data" / "development.json"),
        "--limit",
        "12",
        "--gpu",
        "t4",
        "--results",
        str(tmp_path / "results.json"),
    ]
    assert time_budget_accuracy.main(options) == 0
    first = capsys.readouterr().out
    assert first.rstrip().splitlines()[-1].startswith("all")
    monkeypatch.setattr("models.engines.registry.create_engine", lambda _: pytest.fail("measured again"))
    assert time_budget_accuracy.main(options) == 0
    assert capsys.readouterr().out == first
