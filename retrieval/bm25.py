"""BM25 over the handful of candidates that a question brings along."""

from collections.abc import Sequence

from rank_bm25 import BM25Plus

from retrieval.words import words


def relevance(query: str, candidates: Sequence[str]) -> tuple[float, ...]:
    """Return a BM25 score for each candidate, higher is more relevant, 0 for one without any word of the query.

    Okapi's idf, log((N - n + 0.5) / (n + 0.5)), is negative for a word that more than half of the N documents hold. Of
    five candidates for one query most hold its main word, and that word would count against them. The idf of BM25+ (Lv
    and Zhai, 2011, "Lower-Bounding Term Frequency Normalization"), log((N + 1) / n), is never negative. Its lower bound
    delta is for documents of very different length, which titles are not: it is set to 0.
    """
    documents = [words(candidate) for candidate in candidates]
    terms = list(dict.fromkeys(words(query)))
    if not terms or not any(documents):
        return (0.0,) * len(candidates)
    return tuple(float(score) for score in BM25Plus(documents, delta=0).get_scores(terms))


def best_first(scores: Sequence[float]) -> list[int]:
    """Return the indices from the highest to the lowest score; equal scores keep their order."""
    return sorted(range(len(scores)), key=lambda index: -scores[index])
