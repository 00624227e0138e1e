"""The evaluator's two clocks: seconds a sample, counted for a batch, and minutes for a whole track."""

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
"""Of the track, what is never counted on: the evaluator's own work between batches takes time, too."""
"""What is neither pace nor bank, 5 % of the track, is never planned with."""
_SHARE_OF_THE_REST = 0.05


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
    """What one batch may take.

    `began` is the monotonic time at which it came, `seconds` what it should take, so that the track's time lasts, and
    `limit` the seconds after which the evaluator might kill the submission.
    """

    began: float
    seconds: float
    limit: float


class Clock:
    """Gives every batch its seconds.

    A batch may take its share of the track, which is the pace times its questions, and whatever slower and faster
    batches before it left in the bank. The bank begins with a fifth of the track, so that a hard batch early on is not
    cut. However long the questions take, their sum stays below the track's limit if there are as many as expected;
    questions beyond that share what is left.
    """

    def __init__(self, settings: ClockSettings, minutes: float, now: Callable[[], float] = time.monotonic) -> None:
        """Start the clock of a track that has `minutes`, loading included."""
        self._settings, self._now = settings, now
        self._started = now()
        self._total = (1 - _KEPT_SHARE) * 60.0 * minutes
        self._expected = settings.questions or round(self._total / SECONDS_A_QUESTION)
        self._pace = _PACE_SHARE * self._total / self._expected
        self._bank = _BANK_SHARE * self._total
        self._asked = 0
        self.batches = 0

    def loaded(self) -> None:
        """Take the seconds since the start, in which the model was loaded, off the bank."""
        self._bank -= self._now() - self._started

    def open(self, questions: int) -> Allowance:
        """Return what a batch of `questions` may take from now on."""
        self._asked += questions
        self.batches += 1
        limit = self._settings.seconds_per_sample * self._settings.share * questions
        limit = max(min(limit, self._total - self.elapsed), 0.0)
        fair = max(min(limit, self._fair(questions)), 0.0)
        # Nobody knows how many more come when there are more than expected, so none may take what is left.
        return Allowance(self._now(), fair, limit if self._asked <= self._expected else fair)

    def close(self, questions: int, allowance: Allowance) -> None:
        """Settle the seconds that a batch took."""
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
