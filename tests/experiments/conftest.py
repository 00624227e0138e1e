from pathlib import Path

import pytest

from tests.evaluation.report.report_runs import make_run
from tests.experiments.evaluations import TABLE, Evaluations


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> Evaluations:
    fake = Evaluations()
    monkeypatch.setattr("experiments.running.subprocess.Popen", fake)
    return fake


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "ways.yaml").write_text(TABLE, encoding="utf-8")
    make_run(tmp_path / "any")
    lines = (tmp_path / "any" / "questions.jsonl").read_text(encoding="utf-8")
    (tmp_path / "questions.jsonl").write_text(lines, encoding="utf-8")
    data = ["--data", str(tmp_path / "questions.jsonl")]
    return [str(tmp_path / "ways.yaml"), *data, "--output", str(tmp_path / "out"), "--markdown", str(tmp_path)]
