"""Calibration and times of a run as the report computes them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.report.diagnostics import batch_times, calibration, track_times
from evaluation.report.runs import read_run
from prompts.prompt import softmax
from tests.evaluation.report.report_runs import make_run, written


def test_the_calibration_error_is_the_gap_of_each_bin_weighed_by_its_questions() -> None:
    found = calibration("model", [(0.95, True), (0.85, False), (0.9, True), (0.35, False)])
    filled = {b.low: (b.questions, b.confidence, b.right) for b in found.bins}
    assert filled == {0.3: (1, 0.35, 0.0), 0.8: (2, pytest.approx(0.875), 0.5), 0.9: (1, 0.95, 1.0)}
    assert found.error == pytest.approx(1 / 4 * 0.35 + 2 / 4 * 0.375 + 1 / 4 * 0.05)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=15))
def test_softmax_gives_probabilities_of_any_scores(scores: list[float]) -> None:
    found = softmax(scores)
    assert sum(found) == pytest.approx(1)
    assert found[scores.index(max(scores))] == max(found)


def test_time_is_compared_with_the_limits_of_batch_and_track(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run"))
    batches = batch_times(run)
    assert [(batch.task_type, batch.questions) for batch in batches] == [
        ("multiple-choice", 4),
        ("named_entity_recognition", 2),
    ]
    assert [batch.seconds for batch in batches] == pytest.approx([8.0, 4.0])
    assert "20 % of the evaluator's limit" in written(tmp_path, run.folder)
    found = {time.track.number: time for time in track_times(run)}
    assert list(found) == [2, 3, 5]
    third = found[3]
    assert (third.questions, third.expected, third.tokens_read) == (2, 2373, 30.0)
    assert third.minutes == pytest.approx((2.0 * 2373 + 30.0) / 60)
    assert third.verdict == "OVER"
    assert third.share == pytest.approx(third.minutes / 30)
