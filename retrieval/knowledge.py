"""What is known beside the model: how well candidates fit by words and by vectors, and a catalogue's products."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from retrieval.bm25 import relevance
from retrieval.fusion import LEXICAL, RELATED, Combiner, FittedSum, Scores

_LOG = logging.getLogger("shopalign")
Similarity = Callable[[str, Sequence[str]], Sequence[float]]
"""A query and candidates to a score for each candidate."""


Products = Callable[[str], Sequence[str]]
"""A query to products of the catalogue that are related to it, the best first."""


def no_products(_query: str) -> tuple[str, ...]:
    """Return nothing: there is no catalogue."""
    return ()


@dataclass(frozen=True)
class Knowledge:
    """Sources of evidence, and how they are combined where no model takes part.

    Attributes:
        similarities: a source's name to what scores candidates.
        combiner: makes one score of several.
        products: looks up related products.
        catalogue: what the catalogue was made of, for the record; None without one.
        events: what went wrong on the way, by kind.
    """

    similarities: Mapping[str, Similarity]
    combiner: Combiner
    products: Products = no_products
    catalogue: Mapping[str, object] | None = None
    events: Counter[str] = field(default_factory=Counter)

    def evidence(self, query: str, candidates: Sequence[str], related: Sequence[str] = ()) -> Scores:
        """Return the scores of each source that tells candidates apart; `related` products are a source of their own.

        A source that fails is left out, logged and counted.
        """
        asked = {name: (score, query) for name, score in self.similarities.items()}
        if related:
            asked[RELATED] = (relevance, "\n".join(related))
        given = {name: self._scores(name, score, text, candidates) for name, (score, text) in asked.items()}
        return {name: scores for name, scores in given.items() if len(set(scores)) > 1}

    def combined(self, kind: str, evidence: Scores, count: int) -> tuple[float, ...]:
        """Return one score for each of `count` candidates of a question of `kind`, all 0 without evidence."""
        return self.combiner.combine(kind, evidence) or (0.0,) * count

    def by_words(self) -> "Knowledge":
        """Return the same knowledge without what takes long: words are compared, nothing is looked up."""
        return replace(self, similarities={LEXICAL: relevance}, products=no_products)

    def related(self, query: str) -> tuple[str, ...]:
        """Return products of the catalogue that are related to a query; nothing where that fails, which is counted."""
        try:
            return tuple(self.products(query))
        except Exception as error:  # noqa: BLE001 - the question is answered without them
            _LOG.warning("no related products: %s: %s", type(error).__name__, error)
            self.events["no related products"] += 1
            return ()

    def _scores(self, name: str, score: Similarity, query: str, candidates: Sequence[str]) -> tuple[float, ...]:
        try:
            scores = tuple(float(each) for each in score(query, candidates))
            if len(scores) == len(candidates) and all(map(math.isfinite, scores)):
                return scores
            _LOG.warning("evidence by %s is left out: scores %r", name, scores[:20])
        except Exception as error:  # noqa: BLE001 - other evidence still counts, and the evaluator must not see any error
            _LOG.warning("evidence by %s is left out: %s: %s", name, type(error).__name__, error)
        self.events[f"no evidence by {name}"] += 1
        return ()


QUESTION_ALONE = Knowledge({LEXICAL: relevance}, FittedSum({}))
"""Words of the question and its candidates, and nothing else."""
