"""The leak guard keeps products and queries of evaluation questions out of a catalogue.

A score on these questions then never rests on a copy of their answers.
"""

import html
import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from retrieval.lexical import words
from retrieval.products.catalogue import LONGEST_QUERY, NEAREST, query_key, query_words, shared
from retrieval.products.exclusion_list import Exclusions
from retrieval.products.manifest import Excluded

Hashes = npt.NDArray[np.int64]

IN_A_ROW = 8
"""A product that shares this many words in a row with a question counts as copied from it, or the other way round."""

SHORTEST_IN_A_ROW = 3
"""Titles of fewer words ("garden hose") occur in many questions by chance: they count only as a whole list item."""

_CUT = ("…", "...")
# Floating-point rounding may put a product slightly above the exact whole number.
_ROUNDING = 1e-9
_VOICING = "\u3099\u309a"
_DASHES = re.compile("[\u2010-\u2015\u2212]")
# Between digits a dot or a slash is part of a number, and so is the hyphen before a fraction ("1-1/2").
_JOINT = re.compile(r"(?<=[^\W\d_])[.\-/]|[.\-/](?=[^\W\d_])|(?<=\d)-(?=\d+(?![\d/]))")


class Guard:
    """Finds titles and queries that occur in evaluation files, compared by `strict_words`."""

    def __init__(self, lists: Iterable[Exclusions], stemming: str) -> None:
        self._stemming = stemming
        self.evaluations = tuple(Evaluation(each, stemming) for each in lists)

    def title(self, title: str) -> "Evaluation | None":
        """Return the first evaluation that holds a title, None for a title that may stay."""
        if not self.evaluations:
            return None
        folded = strict_words(title, self._stemming)
        return next((each for each in self.evaluations if each.holds_title(folded)), None)

    def query(self, query: str) -> "Evaluation | None":
        """Return the first evaluation that holds a query, None for a query that may stay."""
        if not self.evaluations:
            return None
        strict = _strict_query(query, self._stemming)
        searched = frozenset(query_words(query, self._stemming))
        return next((each for each in self.evaluations if each.holds_query(strict, searched)), None)


class Evaluation:
    """The words of one evaluation file, and the distinct products and queries that a build left out for them.

    Attributes:
        products: the words of each product that was left out.
        queries: the key of each query that was left out.
    """

    def __init__(self, listed: Exclusions, stemming: str) -> None:
        self._source = listed.source
        self.products: set[str] = set()
        self.queries: set[str] = set()
        items = {item: strict_words(item, stemming) for each in listed.questions for item in each.items}
        shown = tqdm(listed.questions, desc=f"reading {listed.source.file}", disable=None)
        texts = (strict_words(text, stemming) for each in shown for text in each.texts)
        self._runs = _hashes_of_runs(chain(texts, items.values()))
        self._items = frozenset(map(" ".join, items.values()))
        self._starts = frozenset(start for item, folded in items.items() for start in _starts(item, folded))
        asked = list(dict.fromkeys(query for each in listed.questions for query in each.queries))
        strict = [_strict_query(query, stemming) for query in asked]
        self._keys = frozenset(map(query_key, (*items.values(), *strict))) - {""}
        self._near = NearQueries(strict)
        self._near_in_a_search = NearQueries(frozenset(query_words(query, stemming)) for query in asked)

    def holds_title(self, folded: Sequence[str]) -> bool:
        """Check whether a title, given as strict words, occurs in a question.

        It does if all its words, or any 8 of them, occur in a row, or if a list item of three words or more is its
        beginning. A title of one or two words must be a whole list item.
        """
        if len(folded) < SHORTEST_IN_A_ROW:
            return " ".join(folded) in self._items
        beginnings = (" ".join(folded[:count]) for count in range(SHORTEST_IN_A_ROW, len(folded) + 1))
        return any(each in self._starts for each in beginnings) or self._holds_run(folded)

    def holds_query(self, strict: frozenset[str], searched: frozenset[str]) -> bool:
        """Check whether a query, given as strict words and as words of a search, occurs in a question.

        It does if a query, list item or line of a session has the same set of words, or if a search for one of these
        queries or lines could find it as the nearest known query.
        """
        same = query_key(strict) in self._keys
        return same or self._near.near(strict) or self._near_in_a_search.near(searched)

    def excluded(self) -> Excluded:
        """Return the file with its counts; a part that several files contain counts for the first of them."""
        return Excluded(self._source.file, self._source.sha256, len(self.products), len(self.queries))

    def _holds_run(self, folded: Sequence[str]) -> bool:
        asked = np.array(list(map(hash, _runs(folded, min(len(folded), IN_A_ROW)))), dtype=np.int64)
        return bool(np.any(self._runs[np.searchsorted(self._runs, asked)] == asked))


class NearQueries:
    """Queries as sets of words, indexed by word."""

    def __init__(self, queries: Iterable[frozenset[str]]) -> None:
        self._queries = [query for query in dict.fromkeys(queries) if query]
        self._holding: dict[str, list[int]] = {}
        for number, query in enumerate(self._queries):
            for word in query:
                self._holding.setdefault(word, []).append(number)

    def near(self, asked: frozenset[str]) -> bool:
        """Check whether a query shares at least `NEAREST` of the words of both.

        A query that shares this many words has one of the rarest words of `asked`, because the others are too few (the
        prefix filter of Chaudhuri et al., 2006).
        """
        needed = math.ceil(NEAREST * len(asked) - _ROUNDING)
        rarest = sorted(asked, key=lambda word: len(self._holding.get(word, ())))[: len(asked) - needed + 1]
        numbers = {number for word in rarest for number in self._holding.get(word, ())}
        return any(shared(asked, self._queries[number]) >= NEAREST for number in numbers)


def strict_words(text: str, stemming: str) -> list[str]:
    """Return the folded words by which the guard compares: more spellings are equal than in a search.

    HTML entities are decoded, accents dropped, and joined words are split into their parts. `retrieval.lexical.words`
    does the rest. It would return a joined word both whole and in parts; the whole would break a run of words, and
    "garden-hose" and "garden hose" are the same two words here.
    """
    plain = _DASHES.sub("-", _without_accents(html.unescape(text)))
    return words(_JOINT.sub(" ", plain), stemming)


def _without_accents(text: str) -> str:
    """Drop combining marks except those that distinguish kana.

    Compatibility forms are left to `words`, which must see a fraction's sign before it becomes digits.
    """
    if text.isascii():
        return text
    marks = unicodedata.normalize("NFD", text)
    kept = "".join(sign for sign in marks if sign in _VOICING or not unicodedata.combining(sign))
    return unicodedata.normalize("NFC", kept)


def _strict_query(query: str, stemming: str) -> frozenset[str]:
    return frozenset(strict_words(query[:LONGEST_QUERY], stemming))


def _starts(item: str, folded: Sequence[str]) -> Iterator[str]:
    """Yield the words of a list item that may begin a longer title, also without a last word that may be cut."""
    cut = item.rstrip().endswith(_CUT)
    for count in (len(folded), *([len(folded) - 1] if cut else [])):
        if count >= SHORTEST_IN_A_ROW:
            yield " ".join(folded[:count])


def _runs(folded: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    return (tuple(folded[at : at + length]) for at in range(len(folded) - length + 1))


def _hashes_of_runs(texts: Iterable[Sequence[str]]) -> Hashes:
    """Return the sorted 64-bit hashes of all runs of 3 to 8 words, and the largest number as an end mark.

    Equal hashes of unequal runs are unlikely: one chance in thousands for a million titles and a million questions.
    """
    lengths = range(SHORTEST_IN_A_ROW, IN_A_ROW + 1)
    hashes = (hash(run) for folded in texts for length in lengths for run in _runs(folded, length))
    return np.unique(np.fromiter(chain(hashes, [np.iinfo(np.int64).max]), dtype=np.int64))
