"""Fusion: scores of the same candidates from several sources, standardised and added."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from utilities.errors import UserError
from utilities.typed_yaml import read_mapping

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


Weights = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Kind of question -> sources, joined as by `key_of` -> the weight of each source."""
FITTED_FOR = ("weights_sha256", "choice", "selection")
"""Keys of a file's `fitted`: the fingerprint of the model, and its ways of answering options."""

_REMEDY = "make it by `python -m tuning.fit_fusion`"
_SOURCES = (LEXICAL, MODEL, RELATED, VECTORS)


def read_weights(path: Path) -> Weights:
    """Return the weights of a file.

    Raises:
        UserError: the file cannot be read, or a kind, a source or a weight is invalid.
    """
    kinds = read_mapping(path, "the weights", _REMEDY).get("kinds")
    if not isinstance(kinds, dict):
        raise UserError(f"{path}: `kinds` is missing; {_REMEDY}")
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f"{path}: unknown kind {kind!r}; known ones: {', '.join(KINDS)}")
    return {kind: _of_kind(value, f"{path}: kinds.{kind}") for kind, value in kinds.items()}


def read_fitted_for(path: Path) -> Mapping[str, object]:
    """Return the model and the ways of answering that a file was fitted for; empty for a file written by hand.

    Raises:
        UserError: the file cannot be read.
    """
    fitted = read_mapping(path, "the weights", _REMEDY).get("fitted")
    return {name: fitted.get(name) for name in FITTED_FOR} if isinstance(fitted, dict) else {}


def without_model(weights: Weights) -> Weights:
    """Return the weights for evidence without a model; they apply to every model."""
    return {
        kind: {key: given for key, given in fitted.items() if MODEL not in given} for kind, fitted in weights.items()
    }


def _of_kind(value: Any, where: str) -> Mapping[str, Mapping[str, float]]:
    weights = value.get("weights") if isinstance(value, dict) else None
    if not isinstance(weights, dict):
        raise UserError(f"{where}: `weights` is missing; {_REMEDY}")
    return {str(key): _of_sources(str(key), given, where) for key, given in weights.items()}


def _of_sources(key: str, given: Any, where: str) -> Mapping[str, float]:
    where = f"{where}.weights.{key}"
    if not isinstance(given, dict) or key_of([str(name) for name in given]) != key or not set(given) <= set(_SOURCES):
        raise UserError(
            f"{where}: name {', '.join(_SOURCES)} in alphabetical order, joined by +, and a weight for each"
        )
    for name, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise UserError(f"{where}.{name} is {weight!r}; it must be a number")
    return {name: float(weight) for name, weight in given.items()}
