from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.intervals import Scored, draw, interval, mean_over_tasks, resampled, with_intervals
from benchmarks.overrides import with_overrides
from evaluation.intervals import score_of
from evaluation.metrics import Counts, Score, micro_f1
from evaluation.question_sample import Overlap, draw_sample
from evaluation.questions import QuestionRow
from models.settings import Settings
from utilities.errors import UserError
from utilities.task_type import TaskType


def question(text: str, task: str = "task") -> QuestionRow:
    return QuestionRow(text, "?", task, TaskType.GENERATION, "rougel", False, "track")


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=8), st.integers(0, 9))
def test_resampled_counts_are_the_f1_of_the_evaluator(rows: list[tuple[int, int, int]], seed: int) -> None:
    counts = [Counts(*row) for row in rows]
    drawn = draw({"ner": len(counts)}, seed, resamples=5)["ner"]
    scored = resampled(counts, drawn)
    assert scored.value == pytest.approx(micro_f1(counts))
    assert scored.resamples == pytest.approx([micro_f1([counts[index] for index in row]) for row in drawn])


def test_an_interval_of_equal_scores_has_no_width_and_others_hold_the_score() -> None:
    drawn = draw({"a": 40}, 0)["a"]
    assert interval(resampled([0.5] * 40, drawn)) == (0.5, 0.5, 0.5)
    value, low, high = interval(resampled([0.0, 1.0] * 20, drawn))
    # Standard error sqrt(0.25 / 40) = 0.079, times 1.96.
    assert value == 0.5
    assert low == pytest.approx(0.345, abs=0.03)
    assert high == pytest.approx(0.655, abs=0.03)


@pytest.mark.parametrize("values", [[0.0, 1.0, 0.5], [Counts(1, 0, 2), Counts(0, 1, 1), Counts(2, 2, 0)]])
def test_values_of_one_unit_are_drawn_together(values: list[Score]) -> None:
    units = [0, 1, 0]
    drawn = draw({"a": 2}, 1, resamples=20)["a"]
    together = [[values[0], values[2]], [values[1]]]
    expected = [score_of([value for unit in row for value in together[unit]]) for row in drawn]
    scored = resampled(values, drawn, units)
    assert scored.value == score_of(values)
    assert scored.resamples == pytest.approx(expected)


def test_what_is_asked_ten_times_tells_no_more_than_once() -> None:
    values = [0.0, 1.0] * 6
    once, drawn = resampled(values, draw({"a": 12}, 0)["a"]), draw({"a": 12}, 0)["a"]
    copies = resampled(values * 10, drawn, [*range(12)] * 10)
    assert interval(copies) == pytest.approx(interval(once))
    alone = interval(resampled(values * 10, draw({"a": 120}, 0)["a"]))
    assert interval(copies).low < alone.low


def test_a_difference_is_paired_by_question() -> None:
    drawn = draw({"a": 20}, 3)["a"]
    first = resampled([0.0, 1.0] * 10, drawn)
    second = resampled([0.25, 1.25] * 10, drawn)
    found = with_intervals({"in use": first, "changed": second})
    assert found["difference"] == pytest.approx((0.25, 0.25, 0.25))
    assert "difference" not in with_intervals({"in use": first})


def test_the_mean_over_tasks_weighs_them_alike() -> None:
    tasks = [{"x": Scored(0.0, np.zeros(3))}, {"x": Scored(1.0, np.ones(3))}]
    mean = mean_over_tasks(tasks)["x"]
    assert mean.value == 0.5
    assert mean.resamples.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("engine.choice=label", ("engine", "choice"), "label"),
        ("batch_size=8", ("batch_size",), 8),
        ("clock.minutes=1", ("clock", "minutes"), 1.0),
    ],
)
def test_a_setting_is_overridden_with_its_type(override: str, path: Sequence[str], value: object) -> None:
    found: Any = asdict(with_overrides(Settings(), [override]))
    for name in path:
        found = found[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("engine.choise=label", "unknown setting 'choise'; known ones here: model, name,"),
        ("speed=9", "unknown setting 'speed'"),
        ("engine.choice.deep=1", "unknown setting 'deep'"),
        ("engine=label", "engine is a group"),
        ("batch_size=many", "'many' is no int"),
        ("batch_size", "write it as name=value"),
        ("engine.choice=guess", "setting engine.choice is 'guess'"),
        ("batch_size=17", "setting batch_size is 17"),
    ],
)
def test_a_wrong_override_is_told(override: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        with_overrides(Settings(), [override])


def test_a_sample_is_stratified_seeded_and_without_repetitions() -> None:
    asked = [question(f"{task} {index % 30}", task) for task in ("a", "b") for index in range(40)]
    sample = draw_sample(asked, 10, 1, Overlap([]))
    texts = [member.input_field for member in sample.tasks["a"]]
    assert {task: len(members) for task, members in sample.tasks.items()} == {"a": 10, "b": 10}
    assert len(set(texts)) == 10
    assert draw_sample(asked, 10, 1, Overlap([])) == sample
    assert draw_sample(asked, 10, 2, Overlap([])) != sample
    assert draw_sample(asked[:40], 10, 1, Overlap([])).tasks["a"] == sample.tasks["a"]


def test_a_task_of_two_metrics_makes_two_strata() -> None:
    asked = [question("a", "MT"), replace(question("b", "MT"), metric="bleu")]
    assert set(draw_sample(asked, 5, 0, Overlap([])).tasks) == {"MT (rougel)", "MT (bleu)"}


def test_rows_that_share_eight_words_are_passed_over() -> None:
    eight = "red lamp with brass foot and linen shade"
    asked = [question(f"Buy a {eight} now"), question("Buy a red lamp with brass foot and wool shade now")]
    sample = draw_sample(asked, 5, 0, Overlap([f"Is the {eight} in stock?"]))
    assert [member.input_field for member in sample.tasks["task"]] == [asked[1].input_field]
    assert sample.refused == {"task": 1}


def test_wording_that_several_questions_share_is_no_overlap() -> None:
    wording = "Choose the one product that fits best and answer with its number"
    overlap = Overlap([f"{wording}: lamp", f"{wording}: bag"])
    assert not overlap.touches(f"{wording}: shoe")


def test_a_question_that_is_named_twice_still_keeps_its_rows_out() -> None:
    asked = "Which of these nine brass kettles whistles loudest on an open fire outdoors?"
    assert Overlap([asked, asked]).touches(f"Please answer. {asked}")
    assert Overlap([asked, asked]).touches(asked)
    assert Overlap(["short", "short"]).touches("short")
