"""A finished catalogue: products by BM25, and the products that belong to a query."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from retrieval.products.manifest import PRODUCTS, QUERIES, REBUILD, Manifest, check_files, read_manifest
from retrieval.products.search_engine import EngineError, Reader, engine_errors
from retrieval.words import words
from utilities.errors import UserError

NEAREST = 0.6
"""The smallest share of common words, of all words of two queries, at which one stands for the other.

It lets one word of a query of three be added or dropped ("cordless drill" and "cordless drill set", 2 of 3), and one of
four be exchanged (3 of 5). Of shorter queries an exchanged word is mostly the product itself ("garden hose", "garden
gate": 1 of 3).
"""
_NEIGHBOURS = 20
_MOST_PRODUCTS = 1000
# A search query is a line; a whole text pasted in its place would have each of its words looked up.
LONGEST_QUERY = 1000
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
    """Titles that belong to a query, the best first, and where they come from."""

    titles: tuple[str, ...]
    source: Origin


@dataclass(frozen=True)
class _Known:
    """A known query and its relevant titles, best judged first."""

    words: frozenset[str]
    titles: tuple[str, ...]


class Catalog:
    """An open catalogue; its files are mapped into memory and never written."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Map the files of `folder`, whose checksums must have been compared with the manifest's before.

        Raises:
            UserError: the engine cannot read them.
        """
        self.manifest = manifest
        try:
            self._products = Reader(folder / PRODUCTS, _names(manifest, PRODUCTS))
            self._queries = Reader(folder / QUERIES, _names(manifest, QUERIES))
        except (EngineError, OSError) as error:
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

    def products(self, query: str, k: int) -> list[Hit]:
        """Return the `k` products that fit the query best, at most 1,000.

        The score is BM25 with k1 = 1.2, b = 0.75 and the idf ln(1 + (N - n + 0.5) / (n + 0.5)); a word counts once.

        Raises:
            EngineError: the search fails, as it may where files change or vanish after they were checked.
        """
        with engine_errors():
            return self._best_products(query, k)

    def related(self, query: str, k: int) -> Related:
        """Return up to `k` products judged relevant to the same query, else the nearest one, else the best by words.

        Raises:
            EngineError: the search fails, as it may where files change or vanish after they were checked.
        """
        with engine_errors():
            return self._related(query, k)

    def check_search(self) -> None:
        """Search both indexes once.

        Raises:
            UserError: the engine fails, or the number of documents is not that of the manifest.
        """
        try:
            with engine_errors():
                self._best_products(_PROBE, 1)
                self._nearest(self._words(_PROBE))
                found = (self._products.documents, self._queries.documents)
        except EngineError as error:
            raise UserError(f"the catalogue cannot be searched ({error}): {REBUILD}") from None
        counts = self.manifest.counts
        if found != (counts.products, counts.queries):
            raise UserError(
                f"the indexes hold {found[0]} products and {found[1]} queries, not as many as said: {REBUILD}"
            )

    def _best_products(self, query: str, k: int) -> list[Hit]:
        found = self._products.best(self._words(query), min(k, _MOST_PRODUCTS))
        return [Hit(stored.decode(), score) for score, stored in found]

    def _related(self, query: str, k: int) -> Related:
        if k < 1 or not (asked := self._words(query)):
            return Related((), "none")
        if same := self._queries.with_key(query_key(asked)):
            return Related(_known(same, self._words).titles[:k], "same query")
        if near := self._nearest(asked):
            return Related(near.titles[:k], "nearest query")
        titles = tuple(hit.title for hit in self._best_products(query, k))
        return Related(titles, "products" if titles else "none")

    def _nearest(self, asked: Sequence[str]) -> _Known | None:
        """Return the known query with the largest share of common words, if that is large enough."""
        wanted = frozenset(asked)
        known = [_known(stored, self._words) for _, stored in self._queries.best(asked, _NEIGHBOURS)]
        best = max(known, key=lambda each: shared(wanted, each.words), default=None)
        return best if best and shared(wanted, best.words) >= NEAREST else None

    def _words(self, query: str) -> list[str]:
        return query_words(query, self.manifest.settings.stemming)


def query_words(query: str, stemming: str) -> list[str]:
    """Return the distinct words of a query, in order; of a very long one only those at its beginning."""
    return list(dict.fromkeys(words(query[:LONGEST_QUERY], stemming)))[:_MOST_WORDS]


def query_key(folded: Iterable[str]) -> str:
    """Return what two queries of the same words have in common, in whichever order the words stand."""
    return " ".join(sorted(set(folded)))


def stored_query(query: str, titles: Iterable[str]) -> bytes:
    """Return a known query as the index keeps it."""
    return json.dumps([query, list(titles)], ensure_ascii=False).encode()


def _known(stored: bytes, fold: Callable[[str], Iterable[str]]) -> _Known:
    query, titles = json.loads(stored)
    return _Known(frozenset(fold(query)), tuple(titles))


def shared(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the Jaccard index of two sets, of which `one` is not empty."""
    return len(one & other) / len(one | other)


def _names(manifest: Manifest, part: str) -> list[str]:
    return [entry.name.removeprefix(f"{part}/") for entry in manifest.files if entry.name.startswith(f"{part}/")]
