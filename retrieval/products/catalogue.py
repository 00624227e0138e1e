"""Opens a finished catalogue, and searches its products by BM25 or by related known queries."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Literal

from retrieval.lexical import words
from retrieval.products.manifest import PRODUCTS, QUERIES, REBUILD, Manifest, check_files, read_manifest
from retrieval.products.search_engine import Reader, SearchError, search_errors
from utilities.errors import UserError

NEAREST = 0.6
"""The smallest Jaccard index of two queries' words at which one query is used in place of the other.

One word of a query of three may be added or dropped ("cordless drill" and "cordless drill set", 2 of 3), and one of
four may be exchanged (3 of 5). In a shorter query an exchanged word is mostly the product itself ("garden hose",
"garden gate": 1 of 3).
"""
LONGEST_QUERY = 1000
"""The most characters of a query that are read, because a search looks up each word."""

_NEIGHBOURS = 20
_MOST_PRODUCTS = 1000
_MOST_WORDS = 64
_PROBE = "set of 2"

Origin = Literal["same query", "nearest query", "products", "none"]


@dataclass(frozen=True)
class Hit:
    """A product's title, and its BM25 score."""

    title: str
    score: float


@dataclass(frozen=True)
class Related:
    """Titles related to a query, the best first, and their origin."""

    titles: tuple[str, ...]
    source: Origin


class Catalog:
    """An open catalogue; its files are mapped into memory and never written."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Map the files of `folder`, which must have passed `check_files`.

        Raises:
            UserError: the engine cannot read them.
        """
        self.manifest = manifest
        try:
            self._products = Reader(folder / PRODUCTS, _names(manifest, PRODUCTS))
            self._queries = Reader(folder / QUERIES, _names(manifest, QUERIES))
        except (SearchError, OSError) as error:
            raise UserError(f"{folder} cannot be searched ({error}): {REBUILD}") from None

    @classmethod
    def open(cls, folder: Path) -> "Catalog":
        """Check every file of a catalogue and open it.

        Raises:
            UserError: it is missing, half-built, damaged or made by another version.
        """
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        return cls(folder, manifest)

    @search_errors()
    def products(self, query: str, k: int) -> list[Hit]:
        """Return the `k` products that fit the query best, at most 1,000.

        The score is BM25 with k1 = 1.2, b = 0.75 and the idf ln(1 + (N - n + 0.5) / (n + 0.5)); a word counts once.

        Raises:
            SearchError: the search fails, as it may where files change or vanish after they were checked.
        """
        found = self._products.best(self._words(query), min(k, _MOST_PRODUCTS))
        return [Hit(stored.decode(), score) for score, stored in found]

    @search_errors()
    def related(self, query: str, k: int) -> Related:
        """Return up to `k` products judged relevant to the same query, else the nearest one, else the best by words.

        Raises:
            SearchError: the search fails, as it may where files change or vanish after they were checked.
        """
        if k < 1 or not (asked := self._words(query)):
            return Related((), "none")
        if same := self._queries.with_key(query_key(asked)):
            return Related(tuple(json.loads(same)[1][:k]), "same query")
        if near := self._nearest(asked):
            return Related(tuple(near[:k]), "nearest query")
        titles = tuple(hit.title for hit in self.products(query, k))
        return Related(titles, "products" if titles else "none")

    def check_search(self) -> None:
        """Search both indexes once.

        Raises:
            UserError: the engine fails, or the number of documents is not that of the manifest.
        """
        try:
            self.products(_PROBE, 1)
            self.related(_PROBE, 1)
            found = (self._products.documents, self._queries.documents)
        except SearchError as error:
            raise UserError(f"the catalogue cannot be searched ({error}): {REBUILD}") from None
        counts = self.manifest.counts
        if found != (counts.products, counts.queries):
            raise UserError(
                f"the indexes hold {found[0]} products and {found[1]} queries, but the manifest says "
                f"{counts.products} and {counts.queries}: {REBUILD}"
            )

    def _nearest(self, asked: Sequence[str]) -> list[str]:
        """Return the titles of the known query with the largest share of common words, none if it is too small."""
        wanted = frozenset(asked)
        known = (json.loads(stored) for _, stored in self._queries.best(asked, _NEIGHBOURS))
        ranked = [(shared(wanted, frozenset(self._words(query))), titles) for query, titles in known]
        share, titles = max(ranked, key=itemgetter(0), default=(0.0, []))
        return titles if share >= NEAREST else []

    def _words(self, query: str) -> list[str]:
        return query_words(query, self.manifest.settings.stemming)


def query_words(query: str, stemming: str) -> list[str]:
    """Return the distinct words of a query, in order; of a very long one only those at its beginning."""
    return list(dict.fromkeys(words(query[:LONGEST_QUERY], stemming)))[:_MOST_WORDS]


def query_key(folded: Iterable[str]) -> str:
    """Return the key of a query: the same for queries of the same words, in whichever order."""
    return " ".join(sorted(set(folded)))


def stored_query(query: str, titles: Sequence[str]) -> bytes:
    """Return a known query as the index stores it."""
    return json.dumps([query, titles], ensure_ascii=False).encode()


def shared(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the Jaccard index of two sets, of which `one` is not empty."""
    return len(one & other) / len(one | other)


def _names(manifest: Manifest, part: str) -> list[str]:
    return [entry.name.removeprefix(f"{part}/") for entry in manifest.files if entry.name.startswith(f"{part}/")]
