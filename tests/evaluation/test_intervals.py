"""Bootstrap intervals of scores, of their mean over tasks, and of paired differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.intervals import Scored, difference, draw, interval, mean_over_tasks, resampled, score_of
from evaluation.metrics import Counts, Score, micro_f1


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=8), st.integers(0, 9))
def test_resampled_counts_are_the_f1_of_the_evaluator(rows: list[tuple[int, int, int]], seed: int) -> None:
    counts = [Counts(*row) for row in rows]
    drawn = dict(draw({"ner": len(counts)}, seed, resamples=5))["ner"]
    scored = resampled(counts, drawn)
    assert scored.value == pytest.approx(micro_f1(counts))
    assert scored.resamples == pytest.approx([micro_f1([counts[index] for index in row]) for row in drawn])


def test_an_interval_of_equal_scores_has_no_width_and_others_hold_the_score() -> None:
    drawn = dict(draw({"a": 40}, 0))["a"]
    assert interval(resampled([0.5] * 40, drawn)) == (0.5, 0.5, 0.5)
    value, low, high = interval(resampled([0.0, 1.0] * 20, drawn))
    # Standard error sqrt(0.25 / 40) = 0.079, times 1.96.
    assert value == 0.5
    assert low == pytest.approx(0.345, abs=0.03)
    assert high == pytest.approx(0.655, abs=0.03)


@pytest.mark.parametrize("values", [[0.0, 1.0, 0.5], [Counts(1, 0, 2), Counts(0, 1, 1), Counts(2, 2, 0)]])
def test_values_of_one_unit_are_drawn_together(values: list[Score]) -> None:
    units = [0, 1, 0]
    drawn = dict(draw({"a": 2}, 1, resamples=20))["a"]
    together = [[values[0], values[2]], [values[1]]]
    expected = [score_of([value for unit in row for value in together[unit]]) for row in drawn]
    scored = resampled(values, drawn, units)
    assert scored.value == score_of(values)
    assert scored.resamples == pytest.approx(expected)


def test_what_is_asked_ten_times_tells_no_more_than_once() -> None:
    values = [0.0, 1.0] * 6
    once, drawn = resampled(values, dict(draw({"a": 12}, 0))["a"]), dict(draw({"a": 12}, 0))["a"]
    copies = resampled(values * 10, drawn, [*range(12)] * 10)
    assert interval(copies) == pytest.approx(interval(once))
    alone = interval(resampled(values * 10, dict(draw({"a": 120}, 0))["a"]))
    assert interval(copies).low < alone.low


def test_a_difference_is_paired_by_question() -> None:
    drawn = dict(draw({"a": 20}, 3))["a"]
    first = resampled([0.0, 1.0] * 10, drawn)
    second = resampled([0.25, 1.25] * 10, drawn)
    assert interval(difference(second, first)) == pytest.approx((0.25, 0.25, 0.25))


def test_the_mean_over_tasks_weighs_them_alike() -> None:
    tasks = [{"x": Scored(0.0, np.zeros(3))}, {"x": Scored(1.0, np.ones(3))}]
    mean = mean_over_tasks(tasks)["x"]
    assert mean.value == 0.5
    assert mean.resamples.tolist() == [0.5, 0.5, 0.5]
