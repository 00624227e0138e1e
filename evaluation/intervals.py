"""How much a score moves by chance: bootstrap intervals of tasks, of their mean, and of paired differences.

Percentile bootstrap (Efron, 1979): questions are drawn with replacement within each task, the score is taken anew.
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
    """A score, and what it is in each resample, [resamples]."""

    value: float
    resamples: NDArray[np.float64]


class Interval(NamedTuple):
    """A score with the 95 % interval that chance alone gives it."""

    value: float
    low: float
    high: float


def draw(sizes: Mapping[str, int], seed: int, resamples: int = RESAMPLES) -> dict[str, Drawn]:
    """Draw the questions of every resample of every task; the same for all variants, so that differences are paired."""
    return dict(drawing(sizes, seed, resamples))


def drawing(sizes: Mapping[str, int], seed: int, resamples: int = RESAMPLES) -> Iterator[tuple[str, Drawn]]:
    """Yield what `draw` returns one task after the other, by name: of many questions all at once would fill memory."""
    generator = np.random.default_rng(seed)
    for task, size in sorted(sizes.items()):
        yield task, generator.integers(0, size, (resamples, size))


def resampled(values: Sequence[Score], drawn: Drawn, units: Sequence[int] | None = None) -> Scored:
    """Return a task's score, the mean of its questions or the F1 of their summed counts, and its resamples.

    `units` says which of the units that `drawn` numbers each value belongs to: values of one unit are drawn together
    (cluster bootstrap; Davison and Hinkley, 1997, 3.8). Without it each value is its own.
    """
    array = np.array(values, dtype=np.float64)
    if units is None or len(set(units)) == len(units):
        score = _micro_f1 if isinstance(values[0], Counts) else _mean
        return Scored(score_of(values), score(array[drawn]))
    counted = isinstance(values[0], Counts)
    columns = array if counted else np.stack((array, np.ones_like(array)), axis=1)
    sums = np.zeros((max(units) + 1, columns.shape[1]))
    np.add.at(sums, np.asarray(units), columns)
    return Scored(score_of(values), (_micro_f1 if counted else _ratio)(sums[drawn]))


def score_of(values: Sequence[Score]) -> float:
    """Return a task's score, the mean of its questions or the F1 of their summed counts."""
    score = _micro_f1 if isinstance(values[0], Counts) else _mean
    return float(score(np.array(values, dtype=np.float64)[None])[0])


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average [resamples, questions] over the questions."""
    return np.asarray(values.mean(axis=1))


def _micro_f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 2 tp / (2 tp + fp + fn) of [resamples, questions, (tp, fp, fn)], 0 where nothing was found."""
    tp, fp, fn = np.moveaxis(counts.sum(axis=1), -1, 0)
    return np.asarray(2 * tp / np.maximum(2 * tp + fp + fn, 1))


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sum / count of [resamples, units, (sum, count)]."""
    total, count = np.moveaxis(sums.sum(axis=1), -1, 0)
    return np.asarray(total / count)


def mean_over_tasks(tasks: Sequence[Mapping[K, Scored]]) -> dict[K, Scored]:
    """Return the mean over the tasks of each variant, in every resample as well."""
    return {
        name: Scored(
            float(np.mean([task[name].value for task in tasks])),
            np.mean([task[name].resamples for task in tasks], axis=0),
        )
        for name in tasks[0]
    }


def with_intervals(variants: Mapping[str, Scored]) -> dict[str, object]:
    """Return the interval of each variant and, where there are two, of the second minus the first."""
    found: dict[str, object] = {"scores": {name: interval(scored) for name, scored in variants.items()}}
    if len(variants) == 2:
        first, second = variants.values()
        difference = Scored(second.value - first.value, second.resamples - first.resamples)
        found["difference"] = interval(difference)
    return found


def interval(scored: Scored) -> Interval:
    """Return the score with the 2.5th and 97.5th percentile of its resamples."""
    low, high = np.percentile(scored.resamples, _PERCENTILES)
    return Interval(scored.value, float(low), float(high))
