"""Sources of evidence are timed on questions with candidates."""

from pathlib import Path

import pytest

from tests.benchmarks.commands import read, run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def words_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.yaml").write_text("knowledge: {similarity: lexical}\n", encoding="utf-8")
    monkeypatch.setenv("SHOPALIGN_SETTINGS", str(tmp_path / "settings.yaml"))


def test_every_source_of_the_settings_is_timed(
    data: Path, tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evidence_speed", "--data", data, "--results", tmp_path / "r.json") == 0
    assert read(tmp_path / "r.json")["report"]["lexical"] > 0
    assert capsys.readouterr().out.rstrip().splitlines()[-1].startswith("lexical")


def test_questions_without_candidates_are_refused(
    tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = '{"input_field": "Describe the lamp.", "task": "a", "task_type": "generation", "metric": "rougel", '
    (tmp_path / "q.json").write_text(row + '"output_field": "A lamp."}\n', encoding="utf-8")
    assert run("evidence_speed", "--data", tmp_path / "q.json", "--results", tmp_path / "r.json") == 2
    assert "no question has numbered candidates" in capsys.readouterr().err
