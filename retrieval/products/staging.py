"""A temporary database on disk that keeps the rows of a build, because millions do not fit into memory."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

_TABLES = """
CREATE TABLE product (number INTEGER PRIMARY KEY, words BLOB NOT NULL UNIQUE, title TEXT NOT NULL);
CREATE TABLE identity (id TEXT NOT NULL, locale TEXT NOT NULL, product INTEGER NOT NULL,
                       PRIMARY KEY (id, locale)) WITHOUT ROWID;
CREATE TABLE query (number INTEGER PRIMARY KEY, words TEXT NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE TABLE judgement (query INTEGER NOT NULL, title TEXT NOT NULL, gain REAL NOT NULL, number INTEGER NOT NULL,
                        PRIMARY KEY (query, title)) WITHOUT ROWID;
"""
_CACHE_KIB = 65_536


class KnownQuery(NamedTuple):
    """A known query: its first spelling, the key of its words, and its titles by falling gain."""

    text: str
    key: str
    titles: list[str]


class Staging:
    """Finds duplicates, joins judgements with products, and gathers the titles of each query."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._judgements = 0

    def add_product(self, folded: Sequence[str], title: str) -> tuple[int, bool]:
        """Return the product's number, and whether it is new: titles of the same words in a row are one product."""
        key = hashlib.blake2b(" ".join(folded).encode(), digest_size=16).digest()
        added = self._database.execute("INSERT OR IGNORE INTO product (words, title) VALUES (?, ?)", (key, title))
        if added.rowcount > 0:
            assert added.lastrowid is not None
            return added.lastrowid, True
        (number,) = self._database.execute("SELECT number FROM product WHERE words = ?", (key,)).fetchone()
        return int(number), False

    def add_identity(self, identity: str, locale: str, product: int) -> None:
        """Remember a product by the id that judgements use; the first product of an id and locale counts."""
        self._database.execute("INSERT OR IGNORE INTO identity VALUES (?, ?, ?)", (identity, locale, product))

    def title_of(self, identity: str, locale: str) -> str:
        """Return the title of a product, empty for an unknown one; an empty locale matches all locales."""
        found = self._database.execute(
            "SELECT title FROM identity JOIN product ON number = product"
            " WHERE id = ? AND (locale = ? OR locale = '' OR ? = '') ORDER BY locale = ? DESC, locale LIMIT 1",
            (identity, locale, locale, locale),
        ).fetchone()
        return str(found[0]) if found else ""

    def add_judgement(self, key: str, text: str, title: str, gain: float) -> None:
        """Remember that a title is relevant to a query; of several gains the highest counts."""
        self._judgements += 1
        self._database.execute("INSERT OR IGNORE INTO query (words, text) VALUES (?, ?)", (key, text))
        self._database.execute(
            "INSERT INTO judgement SELECT number, ?, ?, ? FROM query WHERE words = ?"
            " ON CONFLICT DO UPDATE SET gain = max(gain, excluded.gain)",
            (title, gain, self._judgements, key),
        )

    def known_queries(self, most: int) -> Iterator[KnownQuery]:
        """Yield each query with its `most` best titles; queries, and titles of equal gain, keep their order."""
        ranked = (
            "SELECT query, title, row_number() OVER (PARTITION BY query ORDER BY gain DESC, number) AS rank"
            " FROM judgement"
        )
        rows = self._database.execute(
            f"SELECT number, text, words, title FROM query JOIN ({ranked}) ON query = number"
            " WHERE rank <= ? ORDER BY number, rank",
            (most,),
        )
        for (_, text, key), group in groupby(rows, itemgetter(0, 1, 2)):
            yield KnownQuery(text, key, [title for *_, title in group])


@contextmanager
def staging(path: Path) -> Iterator[Staging]:
    """Open a new database at `path` for one build.

    Raises:
        sqlite3.Error: the disk is full or cannot be written.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        # No other process reads the database, and the remains of a stopped build are removed.
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute("PRAGMA temp_store = FILE")
        database.executescript(_TABLES)
        database.execute("BEGIN")
        yield Staging(database)
