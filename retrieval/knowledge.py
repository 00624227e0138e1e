"""Evidence that needs no language model: word and vector similarities, catalogue products, and their combination."""

import logging
import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.embeddings import Encode
from retrieval.lexical import relevance
from retrieval.settings import FuseSettings

_LOG = logging.getLogger("shopalign")
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


class SwitchedFusion:
    """A combiner that returns the model's scores unchanged for the kinds of question that are switched off."""

    def __init__(self, combiner: Combiner, fuse: FuseSettings) -> None:
        self._combiner, self._fuse = combiner, asdict(fuse)

    def combine(self, kind: str, scores: Scores) -> tuple[float, ...]:
        """Return a score for each candidate."""
        if MODEL in scores and not self._fuse.get(kind, True):
            return tuple(scores[MODEL])
        return self._combiner.combine(kind, scores)


class Vectors:
    """Compares a query with candidates by an embedding model."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode

    def similarity(self, query: str, candidates: Sequence[str]) -> tuple[float, ...]:
        """Return the cosine of query and candidate embeddings, -1 to 1; 0 for an embedding of length 0."""
        if not candidates:
            return ()
        # In separate batches: a batch is padded to its longest text, and a review is ten times as long as a candidate.
        (asked,), units = self._units([query]), self._units(candidates)
        return tuple(float(cosine) for cosine in units @ asked)

    def _units(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = self._encode(texts)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        units: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        return units


Similarity = Callable[[str, Sequence[str]], Sequence[float]]
"""Query and candidates -> a score for each candidate."""


Products = Callable[[str], Sequence[str]]
"""Query -> related products of the catalogue, best first."""


def no_products(_query: str) -> tuple[str, ...]:
    """Return no products, in place of a catalogue."""
    return ()


@dataclass(frozen=True)
class Knowledge:
    """Sources of evidence, and their combination without a model.

    Attributes:
        similarities: the name of a source -> its scoring function.
        combiner: combines the scores of several sources.
        products: looks up related products.
        catalogue: the manifest of the catalogue for the run's record; None without one.
        events: failures by kind.
    """

    similarities: Mapping[str, Similarity]
    combiner: Combiner
    products: Products = no_products
    catalogue: Mapping[str, object] | None = None
    events: Counter[str] = field(default_factory=Counter)

    def evidence(self, query: str, candidates: Sequence[str], related: Sequence[str] = ()) -> Scores:
        """Return the scores of each source whose scores differ; `related` products are a separate source.

        A source that fails is left out, logged and counted.
        """
        asked = {name: (score, query) for name, score in self.similarities.items()}
        if related:
            asked[RELATED] = (relevance, "\n".join(related))
        given = {name: self._scores(name, score, text, candidates) for name, (score, text) in asked.items()}
        return {name: scores for name, scores in given.items() if len(set(scores)) > 1}

    def combined(self, kind: str, evidence: Scores, count: int) -> tuple[float, ...]:
        """Return one score for each of the `count` candidates of a question of `kind`; all 0 without evidence."""
        return self.combiner.combine(kind, evidence) or (0.0,) * count

    def by_words(self) -> "Knowledge":
        """Return the knowledge with the fast sources only: BM25, without vectors and without lookups."""
        return replace(self, similarities={LEXICAL: relevance}, products=no_products)

    def related(self, query: str) -> tuple[str, ...]:
        """Return products of the catalogue that are related to a query; a failure is counted and returns none."""
        try:
            return tuple(self.products(query))
        except Exception as error:  # noqa: BLE001 - the question is answered without them
            self._count("no related products", f"{type(error).__name__}: {error}")
            return ()

    def _scores(self, name: str, score: Similarity, query: str, candidates: Sequence[str]) -> tuple[float, ...]:
        try:
            scores = tuple(float(each) for each in score(query, candidates))
            if len(scores) == len(candidates) and all(map(math.isfinite, scores)):
                return scores
            cause = f"scores {scores[:20]!r}"
        except Exception as error:  # noqa: BLE001 - the other evidence is still valid, and the evaluator must not see an error
            cause = f"{type(error).__name__}: {error}"
        self._count(f"no evidence by {name}", cause)
        return ()

    def _count(self, event: str, cause: str) -> None:
        """Count an event, and log its first cause: a line for each question would hide all other lines."""
        if not self.events[event]:
            _LOG.warning("%s (%s); further ones are only counted", event, cause)
        self.events[event] += 1


QUESTION_ALONE = Knowledge({LEXICAL: relevance}, FittedSum({}))
"""BM25 on the question's own text, without any other source."""
