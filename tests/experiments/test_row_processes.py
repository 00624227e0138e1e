"""A row is a process of local_evaluation.py with the row's settings; the bar follows it and Ctrl-C ends it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments import run
from experiments.row_plan import Planned
from experiments.running import asked, run_rows
from experiments.table import read_table
from tests.experiments.evaluations import Evaluations
from utilities.errors import UserError


def test_rows_are_run_with_their_settings_over_the_defaults(evaluations: Evaluations, arguments: list[str]) -> None:
    assert run.main(arguments) == 0
    assert [each["engine"]["choice"] for each in evaluations.settings] == ["label", "text"]
    assert all(each["batch_size"] == 16 and each["engine"]["device"] == "auto" for each in evaluations.settings)


def test_the_environment_of_a_row_names_its_settings_and_nothing_else(
    evaluations: Evaluations, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPALIGN_MODEL", "no such model")
    with pytest.raises(UserError, match=r"ways\.yaml, row 'label': .*no such model"):
        run.main(arguments)


def test_the_bar_follows_the_questions_of_a_row(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"loading: 100%|x| 9/9 [00:01]\n")
    assert asked(tmp_path / "log") == 0
    with (tmp_path / "log").open("ab") as log:
        log.write(b"x" * 9000 + b"\rpredicting:   0%|  | 0/96 [00:00<?]\rpredicting:  33%|x  | 32/96 [00:20<00:40]")
    assert asked(tmp_path / "log") == 32


@pytest.mark.slow
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
    monkeypatch.setattr("experiments.running.POLL_SECONDS", 0.05)
    monkeypatch.setattr("experiments.running.code_digest", lambda: "same")
    (tmp_path / "questions.jsonl").write_text("{}\n", encoding="utf-8")
    row = read_table(run.TABLES / "orders.yaml").run[0]
    with pytest.raises(KeyboardInterrupt):
        run_rows([Planned(row, tmp_path / "questions.jsonl", tmp_path, "same")])
    assert started[0].poll() is not None
