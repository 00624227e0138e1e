"""Fits how much each source of evidence weighs, by which of two candidates of one question is worth more."""

import statistics
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from retrieval.fusion import MODEL, key_of, standardised, weighted_sum
from tuning.scored_rows import ScoredRow

_DIGITS = 3


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return every choice of two or more sources, in alphabetical order."""
    ordered = sorted(names)
    return [chosen for size in range(2, len(ordered) + 1) for chosen in combinations(ordered, size)]


def fit(rows: Sequence[ScoredRow], names: Sequence[str]) -> dict[str, float]:
    """Return the weight of each source, none negative, their sum 1.

    Pairwise logistic regression on differences of standardised scores (RankNet's loss on a linear model: Burges et al.,
    2005), a pair counting by its difference in gain. A source that would count against is left out.
    """
    differences, importance = _pairs(rows, names)
    if not len(differences):
        return dict.fromkeys(names, 1 / len(names))
    both = np.concatenate([differences, -differences])
    better = np.repeat([1, 0], len(differences))
    model = LogisticRegression(fit_intercept=False).fit(both, better, sample_weight=np.tile(importance, 2))
    weights = dict(zip(names, model.coef_[0].tolist(), strict=True))
    helping = [name for name in names if weights[name] > 0]
    if not helping:
        return dict.fromkeys(names, 1 / len(names))
    if len(helping) < len(names):
        return {**dict.fromkeys(names, 0.0), **fit(rows, helping)}
    total = sum(weights.values())
    return {name: round(weight / total, _DIGITS) for name, weight in weights.items()}


def _pairs(rows: Sequence[ScoredRow], names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the better candidate's scores minus the worse one's, [pairs, sources], and the differences in gain."""
    differences, importance = [], []
    for row in rows:
        scores = np.array([standardised(row.scores.get(name, (0.0,) * len(row.gains))) for name in names])
        for first, second in combinations(range(len(row.gains)), 2):
            gap = row.gains[first] - row.gains[second]
            if gap:
                differences.append(np.sign(gap) * (scores[:, first] - scores[:, second]))
                importance.append(abs(gap))
    return np.array(differences), np.array(importance)


def value(rows: Sequence[ScoredRow], weights: dict[str, float]) -> list[float]:
    """Return the metric of each row when its sources are added with these weights."""
    return [
        row.value(
            weighted_sum({name: row.scores[name] for name in weights if name in row.scores}, weights)
            or (0.0,) * len(row.gains)
        )
        for row in rows
    ]


def cross_validated(rows: Sequence[ScoredRow], names: Sequence[str], folds: int = 5) -> float:
    """Return the mean metric where each row is ordered by weights fitted on the other folds' rows."""
    values: list[float] = []
    for fold in range(folds):
        held = rows[fold::folds]
        rest = [row for index, row in enumerate(rows) if index % folds != fold]
        values += value(held, fit(rest, names))
    return statistics.fmean(values)


def fitted_kind(rows: Sequence[ScoredRow], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the weights of every subset of the sources."""
    return {key_of(chosen): fit(rows, chosen) for chosen in subsets(names)}


def alone(rows: Sequence[ScoredRow], names: Sequence[str]) -> dict[str, float]:
    """Return the mean metric of each source alone, the model first."""
    ordered = sorted(names, key=lambda name: (name != MODEL, name))
    return {name: statistics.fmean(value(rows, {name: 1.0})) for name in ordered}
