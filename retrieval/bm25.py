"""BM25 scores of the few candidates of one question."""

from collections.abc import Sequence

from rank_bm25 import BM25Plus

from retrieval.words import words


def relevance(query: str, candidates: Sequence[str]) -> tuple[float, ...]:
    """Return a BM25 score for each candidate: higher is more relevant, 0 means no word of the query.

    Okapi's idf, log((N - n + 0.5) / (n + 0.5)), is negative for a word that more than half of the N documents contain.
    Most of the five candidates of a query contain its main word, which would then count against them. The idf of BM25+
    (Lv and Zhai, 2011, "Lower-Bounding Term Frequency Normalization"), log((N + 1) / n), is never negative. Its lower
    bound delta is 0 here: it corrects for documents of very different length, and titles are similar in length.
    """
    documents = [words(candidate) for candidate in candidates]
    terms = list(dict.fromkeys(words(query)))
    if not terms or not any(documents):
        return (0.0,) * len(candidates)
    return tuple(float(score) for score in BM25Plus(documents, delta=0).get_scores(terms))


def best_first(scores: Sequence[float]) -> list[int]:
    """Return the indices in the order of their scores, highest first; equal scores keep their order."""
    return sorted(range(len(scores)), key=lambda index: -scores[index])
