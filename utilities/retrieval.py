"""BM25 over the handful of candidates that a question brings along."""

from collections.abc import Sequence

from rank_bm25 import BM25Plus

from utilities.tokens import words


def relevance(query: str, candidates: Sequence[str]) -> tuple[float, ...]:
    """Return a BM25 score for each candidate, higher is more relevant, all zero when nothing can be compared.

    Okapi's idf, log((N - n + 0.5) / (n + 0.5)), is negative for a word that more than half of the N documents hold. Of
    five candidates for one query most hold its main word, and that word would count against them. BM25+ (Lv and Zhai,
    2011, "Lower-bounding term frequency normalization") uses log((N + 1) / n), which is never negative.
    """
    documents = [words(candidate) for candidate in candidates]
    terms = list(dict.fromkeys(words(query)))
    if not terms or not any(documents):
        return (0.0,) * len(candidates)
    return tuple(float(score) for score in BM25Plus(documents).get_scores(terms))


def best_first(scores: Sequence[float]) -> list[int]:
    """Return the indices from the highest to the lowest score; equal scores keep their order."""
    return sorted(range(len(scores)), key=lambda index: -scores[index])
