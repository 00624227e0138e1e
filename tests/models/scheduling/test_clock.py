from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scheduling.clock import Clock, ClockSettings, PatientClock


@dataclass
class Time:
    """A clock that stands still until it is moved."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_batch_has_eight_of_ten_seconds_a_sample_while_the_track_allows_it() -> None:
    clock = Clock(ClockSettings(questions=2373), 30, Time())
    allowance = clock.open(16)
    assert allowance.limit == pytest.approx(128.0)
    assert allowance.seconds == pytest.approx(128.0)


def test_an_empty_bank_leaves_a_batch_the_pace_of_the_track() -> None:
    time = Time()
    clock = Clock(ClockSettings(questions=2373), 30, time)
    clock.open(16)
    time.seconds += 0.97 * 360
    clock.loaded()
    allowance = clock.open(16)
    assert allowance.seconds == pytest.approx(16 * 0.75 * 0.97 * 1800 / 2373)
    assert allowance.limit == pytest.approx(128.0)


def test_a_quick_batch_fills_the_bank() -> None:
    time = Time()
    clock = Clock(ClockSettings(questions=100), 1, time)
    first = clock.open(1)
    clock.close(1, first)
    assert clock.open(1).seconds == pytest.approx(8.0)
    assert Clock(ClockSettings(questions=2), 1, time).open(1).seconds == pytest.approx(8.0)


@given(st.integers(1, 400), st.floats(1.0, 60.0), st.lists(st.integers(1, 16), min_size=1, max_size=100))
def test_batches_that_take_what_they_are_given_never_exceed_the_track(
    questions: int, minutes: float, sizes: list[int]
) -> None:
    time = Time()
    clock = Clock(ClockSettings(questions=questions), minutes, time)
    for size in sizes:
        allowance = clock.open(size)
        assert 0 <= allowance.seconds <= allowance.limit <= 8.0 * size + 1e-6
        time.seconds += allowance.seconds
        clock.close(size, allowance)
    assert clock.elapsed <= 60 * minutes + 1e-6


def test_the_number_of_questions_is_guessed_from_the_one_track_that_told_it() -> None:
    time = Time()
    clock, known = Clock(ClockSettings(), 30, time), Clock(ClockSettings(questions=2373), 30, time)
    time.seconds += 500
    clock.loaded()
    known.loaded()
    assert clock.open(16).seconds == pytest.approx(known.open(16).seconds)


def test_after_the_tracks_end_there_is_no_time() -> None:
    time = Time()
    clock = Clock(ClockSettings(questions=100), 1, time)
    time.seconds += 61
    allowance = clock.open(4)
    assert (allowance.seconds, allowance.limit) == (0.0, 0.0)


def test_more_questions_than_expected_never_take_what_is_left_of_the_track() -> None:
    time = Time()
    clock = Clock(ClockSettings(questions=10), 1, time)
    clock.loaded()
    began = time.seconds
    for _ in range(500):
        allowance = clock.open(16)
        time.seconds += allowance.limit + 0.002
        clock.close(16, allowance)
    assert time.seconds - began < 60


def test_a_patient_clock_gives_every_batch_the_same_long_time_in_one_request() -> None:
    time = Time()
    clock = PatientClock(time)
    clock.loaded()
    for questions in (16, 1, 16):
        allowance = clock.open(questions)
        assert (allowance.seconds, allowance.limit, allowance.whole) == (300.0 * questions, 300.0 * questions, True)
        time.seconds += 1e5
        clock.close(questions, allowance)
