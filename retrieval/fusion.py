"""Fusion: scores of the same candidates from several sources, standardised and added."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Protocol

MODEL, LEXICAL, VECTORS, RELATED = "model", "lexical", "vectors", "related"
KINDS = ("choice", "ranking", "also_bought", "next_query", "aspects", "snippets")
"""Kinds of question with scored candidates: options, products of a query, and four kinds of retrieval."""

Scores = Mapping[str, Sequence[float]]
"""A source's name to its score for each candidate, higher is better."""

_RANK_OFFSET = 60.0


class Combiner(Protocol):
    """Combines the scores of several sources into one score for each candidate."""

    def combine(self, kind: str, scores: Scores) -> tuple[float, ...]:
        """Return a score for each candidate of a question of `kind`; empty without any source."""


class FittedSum:
    """The weighted sum of standardised scores, with weights for each kind of question and each set of sources.

    `weights` maps a kind to a set of sources, joined as by `key_of`, to the weight of each source. If the given sources
    have no weights, the largest subset with weights is used and the other sources are left out. Without any weights all
    sources of evidence count equally, and a model's scores are used without evidence.
    """

    def __init__(self, weights: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
        self._weights = weights

    def combine(self, kind: str, scores: Scores) -> tuple[float, ...]:
        """Return a score for each candidate."""
        fitted = self._weights.get(kind, {})
        usable = [key for key in fitted if _fits(key.split("+"), scores)]
        if usable:
            return weighted_sum(scores, fitted[max(usable, key=lambda key: (key.count("+"), key))])
        return weighted_sum(scores, {MODEL: 1.0} if MODEL in scores else dict.fromkeys(scores, 1.0))


class ReciprocalRank:
    """Reciprocal rank fusion: each source adds 1 / (60 + rank) to a candidate; equal scores share their mean rank.

    Cormack, Clarke and Büttcher (2009), "Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning
    Methods".
    """

    def combine(self, kind: str, scores: Scores) -> tuple[float, ...]:  # noqa: ARG002 - the same for every kind
        """Return a score for each candidate."""
        given = ([1 / (_RANK_OFFSET + rank) for rank in ranks(each)] for each in scores.values())
        return tuple(sum(column) for column in zip(*given, strict=True))


def _fits(sources: Sequence[str], scores: Scores) -> bool:
    """Return whether weights apply: all of their sources are given, and the model is among them if it is given."""
    return set(sources) <= set(scores) and (MODEL in sources) == (MODEL in scores)


def key_of(scores: Scores | Sequence[str]) -> str:
    """Return the sources' names in alphabetical order, joined by "+"."""
    return "+".join(sorted(scores))


def weighted_sum(scores: Scores, weights: Mapping[str, float]) -> tuple[float, ...]:
    """Return the sum of the standardised scores times their weights; a source without weight counts 0."""
    given = ([weights.get(name, 0.0) * score for score in standardised(each)] for name, each in scores.items())
    return tuple(sum(column) for column in zip(*given, strict=True))


def standardised(scores: Sequence[float]) -> list[float]:
    """Return the scores scaled to mean 0 and standard deviation 1; all 0 if they are equal."""
    mean, spread = statistics.fmean(scores), statistics.pstdev(scores)
    return [(score - mean) / spread if spread > 1e-12 else 0.0 for score in scores]


def ranks(scores: Sequence[float]) -> list[float]:
    """Return each score's rank, 1 for the highest; equal scores share the mean of their ranks."""
    return [
        1 + sum(other > score for other in scores) + (sum(other == score for other in scores) - 1) / 2
        for score in scores
    ]
