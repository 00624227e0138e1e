from pathlib import Path

import pytest

from benchmarks import report_scale
from evaluation.report.runs import read_run
from tests.evaluation.report.report_runs import QUESTIONS, make_run
from utilities.errors import exit_code


def test_an_enlarged_run_holds_whole_copies_that_score_what_the_run_scored(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "a"))
    large = read_run(report_scale.enlarged(run, 20, tmp_path / "b"))
    assert len(large.questions) == 24
    assert large.answers == run.answers * 4
    assert large.record["tasks"] == run.record["tasks"]
    assert len({each.question.input_field for each in large.questions}) == 4 * len(QUESTIONS)


def test_a_large_page_is_measured_even_without_a_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report_scale, "CHROMIUM", None)
    folder = make_run(tmp_path / "a")
    report_scale.main([str(folder), "--sizes", "12", "--results", str(tmp_path / "results.json")])
    assert capsys.readouterr().out.rstrip().splitlines()[-1].split()[-2:] == ["-", "-"]


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: report_scale.main([str(tmp_path)])) == 2
    assert "no questions.jsonl" in capsys.readouterr().err
