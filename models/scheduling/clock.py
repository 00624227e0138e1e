"""Allots time within the evaluator's two limits: seconds for each sample, by batch, and minutes for a track."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from utilities.tracks import SECONDS_A_QUESTION
from utilities.typed_yaml import NotNegative, Share, Whole, checked

_PACE_SHARE = 0.75
_BANK_SHARE = 0.2
_KEPT_SHARE = 0.03
"""Shares of the track's time: the pace, the initial bank, and the part kept for the evaluator's own work. The remaining
5 % of the rest are never planned with."""
_SHARE_OF_THE_REST = 0.05
_PATIENT_SECONDS, _ENDLESS_MINUTES = 300.0, 1e6


@checked
class ClockSettings:
    """The evaluator's limits, and the use of spare time.

    Attributes:
        seconds_per_sample: the evaluator's limit for one question, counted for a batch.
        share: the share of that limit which is planned with.
        minutes: the track's limit; 0 takes the limit of the track that aicrowd.json names.
        questions: how many questions the track has; 0 where that is unknown.
        spare: what spare time is used for where options are chosen by their numbers: `orders` averages the
            probabilities over `orders` orders of the list, `decode` writes the numbers out, `none` uses it for nothing.
        orders: how many orders are averaged.
    """

    seconds_per_sample: NotNegative = 10.0
    share: Share = 0.8
    minutes: NotNegative = 0.0
    questions: Whole = 0
    spare: Literal["none", "orders", "decode"] = "none"
    orders: Annotated[int, Field(ge=2, le=24)] = 4


@dataclass(frozen=True)
class Allowance:
    """The time allowed for one batch.

    Attributes:
        began: the monotonic time of the batch's start.
        seconds: the fair seconds, with which the track's time suffices for all questions.
        limit: the seconds after which the evaluator might kill the submission.
        whole: whether the batch is one request however slow the engine is. The answers then do not depend on its speed,
            because a text or a score may change in the last digits with the prompts that share its batch.
    """

    began: float
    seconds: float
    limit: float
    whole: bool = False


class Clock:
    """Allots seconds to batches.

    A batch gets its share of the track, the pace times its questions, and the balance of the bank. Fast batches pay
    into the bank, slow ones borrow from it. The bank starts with a fifth of the track, so that an early slow batch is
    not cut. The sum stays below the track's limit for the expected number of questions; further questions share the
    remaining time.
    """

    def __init__(self, settings: ClockSettings, minutes: float, now: Callable[[], float] = time.monotonic) -> None:
        """Start the clock of a track of `minutes` minutes, loading included."""
        self._settings, self._now = settings, now
        self._started = now()
        self._total = (1 - _KEPT_SHARE) * 60.0 * minutes
        self._expected = settings.questions or round(self._total / SECONDS_A_QUESTION)
        self._pace = _PACE_SHARE * self._total / self._expected
        self._bank = _BANK_SHARE * self._total
        self._asked = 0

    def loaded(self) -> None:
        """Subtract the loading time, the seconds since the start, from the bank."""
        self._bank -= self._now() - self._started

    def open(self, questions: int) -> Allowance:
        """Return the allowance of a batch of `questions` that starts now."""
        self._asked += questions
        limit = self._settings.seconds_per_sample * self._settings.share * questions
        limit = max(min(limit, self._total - self.elapsed), 0.0)
        fair = max(min(limit, self._fair(questions)), 0.0)
        # Beyond the expected number of questions, more may follow, so no batch may use all remaining time.
        return Allowance(self._now(), fair, limit if self._asked <= self._expected else fair)

    def close(self, questions: int, allowance: Allowance) -> None:
        """Charge the bank with the seconds of a finished batch."""
        self._bank += self._pace * questions - self.since(allowance)

    def since(self, allowance: Allowance) -> float:
        """Return the seconds since a batch began."""
        return self._now() - allowance.began

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._now() - self._started

    def _fair(self, questions: int) -> float:
        if self._asked <= self._expected:
            return self._pace * questions + self._bank
        return (self._total - self.elapsed) * _SHARE_OF_THE_REST


class PatientClock(Clock):
    """A clock without the evaluator's limits: only an engine that hangs is ended.

    A batch may take 300 s for each question, thirty times the evaluator's limit, and the track has no end.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Start the clock."""
        super().__init__(ClockSettings(), _ENDLESS_MINUTES, now)

    def open(self, questions: int) -> Allowance:
        """Return the allowance of a batch of `questions` that starts now."""
        seconds = _PATIENT_SECONDS * questions
        return Allowance(self._now(), seconds, seconds, whole=True)
