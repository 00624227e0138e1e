"""Bootstrap intervals of scores: of tasks, of their mean, and of paired differences.

Percentile bootstrap (Efron, 1979): each resample draws the questions of a task with replacement and scores them again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Counts, Score

K = TypeVar("K")
RESAMPLES = 2000
_PERCENTILES = (2.5, 97.5)

Drawn = NDArray[np.int64]
"""Indices of the questions of each resample, [resamples, questions]."""


class Scored(NamedTuple):
    """A score, and its value in each resample, [resamples]."""

    value: float
    resamples: NDArray[np.float64]


class Interval(NamedTuple):
    """A score with its 95 % interval."""

    value: float
    low: float
    high: float


def draw(sizes: Mapping[str, int], seed: int, resamples: int = RESAMPLES) -> Iterator[tuple[str, Drawn]]:
    """Yield each task's name and the questions of its resamples; the draws of all tasks at once would fill memory.

    All variants use the same draws, which pairs their differences.
    """
    generator = np.random.default_rng(seed)
    for task, size in sorted(sizes.items()):
        yield task, generator.integers(0, size, (resamples, size))


def resampled(values: Sequence[Score], drawn: Drawn, units: Sequence[int] | None = None) -> Scored:
    """Return a task's score and its resamples.

    `units` has the number of each value's unit; `drawn` holds numbers of units, and values of one unit are drawn
    together (cluster bootstrap; Davison and Hinkley, 1997, 3.8). Without `units` each value is one.
    """
    earned, most = _fractions(values)
    if units is not None:
        earned, most = (np.bincount(units, weights=each).astype(np.float64) for each in (earned, most))
    return Scored(score_of(values), _ratio(earned[drawn].sum(axis=1), most[drawn].sum(axis=1)))


def score_of(values: Sequence[Score]) -> float:
    """Return a task's score: the mean of its questions, or the F1 of their summed counts."""
    earned, most = _fractions(values)
    return float(_ratio(earned.sum(), most.sum()))


def _fractions(values: Sequence[Score]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return numerators and denominators whose sums give the score: s / 1, or 2 tp / (2 tp + fp + fn) for F1."""
    array = np.array(values, dtype=np.float64)
    if not isinstance(values[0], Counts):
        return array, np.ones_like(array)
    tp, fp, fn = array.T
    return 2 * tp, 2 * tp + fp + fn


def _ratio(earned: NDArray[np.float64] | np.float64, most: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """Divide; 0 if there are no phrases to find."""
    return np.asarray(earned / np.maximum(most, 1))


def mean_over_tasks(tasks: Sequence[Mapping[K, Scored]]) -> dict[K, Scored]:
    """Return each variant's mean over the tasks, also in every resample."""
    return {
        name: Scored(
            float(np.mean([task[name].value for task in tasks])),
            np.mean([task[name].resamples for task in tasks], axis=0),
        )
        for name in tasks[0]
    }


def difference(scored: Scored, base: Scored) -> Scored:
    """Return a score minus another one of the same draws, resample by resample."""
    return Scored(scored.value - base.value, scored.resamples - base.resamples)


def interval(scored: Scored) -> Interval:
    """Return the score with the 2.5th and 97.5th percentile of its resamples."""
    low, high = np.percentile(scored.resamples, _PERCENTILES)
    return Interval(scored.value, float(low), float(high))
