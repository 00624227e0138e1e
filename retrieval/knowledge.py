"""Evidence beside the model: similarities of candidates by words and by vectors, and products of a catalogue."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from retrieval.bm25 import relevance
from retrieval.fusion import LEXICAL, RELATED, Combiner, FittedSum, Scores

_LOG = logging.getLogger("shopalign")
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
            _LOG.warning("no related products: %s: %s", type(error).__name__, error)
            self.events["no related products"] += 1
            return ()

    def _scores(self, name: str, score: Similarity, query: str, candidates: Sequence[str]) -> tuple[float, ...]:
        try:
            scores = tuple(float(each) for each in score(query, candidates))
            if len(scores) == len(candidates) and all(map(math.isfinite, scores)):
                return scores
            _LOG.warning("evidence by %s is left out: scores %r", name, scores[:20])
        except Exception as error:  # noqa: BLE001 - the other evidence is still valid, and the evaluator must not see an error
            _LOG.warning("evidence by %s is left out: %s: %s", name, type(error).__name__, error)
        self.events[f"no evidence by {name}"] += 1
        return ()


QUESTION_ALONE = Knowledge({LEXICAL: relevance}, FittedSum({}))
"""BM25 on the question's own text, without any other source."""
