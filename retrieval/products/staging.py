"""What a build must remember of millions of rows, in a database on the disk instead of in memory."""

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
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
_BUSY_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class Known(NamedTuple):
    """A known query: the text that came first, the key of its words, and its titles, best judged first."""

    text: str
    key: str
    titles: list[str]


class Staging:
    """Tells duplicates, joins judgements with products, and gathers the titles of each query."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._judgements = 0

    def add_product(self, folded: Sequence[str], title: str) -> tuple[int, bool]:
        """Return the product's number, and whether it is new: the same words in a row are the same product."""
        key = hashlib.blake2b(" ".join(folded).encode(), digest_size=16).digest()
        added = self._database.execute("INSERT OR IGNORE INTO product (words, title) VALUES (?, ?)", (key, title))
        if added.rowcount > 0:
            assert added.lastrowid is not None
            return added.lastrowid, True
        (number,) = self._database.execute("SELECT number FROM product WHERE words = ?", (key,)).fetchone()
        return int(number), False

    def add_identity(self, identity: str, locale: str, product: int) -> None:
        """Remember under which name judgements speak of a product; the first one counts."""
        self._database.execute("INSERT OR IGNORE INTO identity VALUES (?, ?, ?)", (identity, locale, product))

    def title_of(self, identity: str, locale: str) -> str | None:
        """Return the title of a product; without a locale that of any of its locales, and the other way round."""
        found = self._database.execute(
            "SELECT title FROM identity JOIN product ON number = product"
            " WHERE id = ? AND (locale = ? OR locale = '' OR ? = '') ORDER BY locale = ? DESC, locale LIMIT 1",
            (identity, locale, locale, locale),
        ).fetchone()
        return None if found is None else str(found[0])

    def add_judgement(self, key: str, text: str, title: str, gain: float) -> None:
        """Remember that a title is relevant to a query; of several gains the highest counts."""
        self._judgements += 1
        self._database.execute("INSERT OR IGNORE INTO query (words, text) VALUES (?, ?)", (key, text))
        self._database.execute(
            "INSERT INTO judgement SELECT number, ?, ?, ? FROM query WHERE words = ?"
            " ON CONFLICT DO UPDATE SET gain = max(gain, excluded.gain)",
            (title, gain, self._judgements, key),
        )

    def known_queries(self, most: int) -> Iterator[Known]:
        """Yield each query with its best titles, in the order in which queries and titles came."""
        ranked = (
            "SELECT query, title, row_number() OVER (PARTITION BY query ORDER BY gain DESC, number) AS rank"
            " FROM judgement"
        )
        rows = self._database.execute(
            f"SELECT number, text, words, title FROM query JOIN ({ranked}) ON query = number"
            " WHERE rank <= ? ORDER BY number, rank",
            (most,),
        )
        yield from _grouped(rows)


@contextmanager
def staging(path: Path) -> Iterator[Staging]:
    """Open a new database at `path`, for the length of a build.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    with _disk_errors(), closing(sqlite3.connect(path, isolation_level=None)) as database:
        # Nobody else reads it, and what a stopped build leaves is thrown away.
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute("PRAGMA temp_store = FILE")
        database.executescript(_TABLES)
        database.execute("BEGIN")
        yield Staging(database)


def _grouped(rows: Iterable[tuple[int, str, str, str]]) -> Iterator[Known]:
    known, last = None, None
    for number, text, key, title in rows:
        if number != last:
            if known:
                yield known
            known, last = Known(text, key, []), number
        assert known
        known.titles.append(title)
    if known:
        yield known


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF in _BUSY_FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise OSError(errno.EIO, str(error)) from error
