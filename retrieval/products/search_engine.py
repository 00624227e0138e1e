"""The search engine: tantivy behind a few functions, with its errors and panics as one exception."""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tantivy import Document, Index, Occur, Query, Schema, SchemaBuilder, Searcher

_WORDS = "words"
_KEY = "key"
_STORED = "stored"
# Room for about two million titles before a segment is written: one segment is searched faster than several.
_WRITER_BYTES = 256_000_000
_FREQUENCIES = "freq"
_REMOVALS = 10
_SECONDS_BETWEEN_REMOVALS = 0.01


class SearchError(Exception):
    """The engine cannot read, search or write an index, or its code panicked."""


@contextmanager
def search_errors() -> Iterator[None]:
    """Raise `SearchError` in place of every exception of the engine; also a decorator.

    A panic of its code arrives as a `PanicException`, which is no `Exception` and cannot be imported.
    """
    try:
        yield
    except BaseException as error:
        expected = isinstance(error, ValueError | TypeError | LookupError | OSError | RuntimeError | SystemError)
        if not expected and type(error).__name__ != "PanicException":
            raise
        raise SearchError(" ".join(str(error).split())[:200]) from error


def _schema() -> Schema:
    """Return the fields of an index: words to search, joined by blanks, one key, and bytes that a search returns.

    The index keeps frequencies but no positions, because no search is for words in a row.
    """
    builder = SchemaBuilder()
    builder.add_text_field(_WORDS, stored=False, tokenizer_name="whitespace", index_option=_FREQUENCIES)
    builder.add_text_field(_KEY, stored=False, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field(_STORED, stored=True, indexed=False)
    return builder.build()


class Writer:
    """Writes one index into an empty folder, on one thread, so that equal input makes equal segments."""

    @search_errors()
    def __init__(self, folder: Path) -> None:
        self._writer = Index(_schema(), path=str(folder)).writer(_WRITER_BYTES, 1)

    @search_errors()
    def add(self, words: Iterable[str], stored: bytes, key: str | None = None) -> None:
        """Add a document of these words."""
        fields: dict[str, object] = {_WORDS: " ".join(words), _STORED: stored}
        self._writer.add_document(Document(**fields, **({} if key is None else {_KEY: key})))

    @search_errors()
    def finish(self) -> None:
        """Write the added documents and wait until they are merged."""
        self._writer.commit()
        self._writer.wait_merging_threads()

    def close(self) -> None:
        """End the engine's threads, which end with the object that owns them."""
        del self._writer


@contextmanager
def writing(folder: Path) -> Iterator[Writer]:
    """Yield a writer of a new index, and finish the index at the end.

    Raises:
        SearchError: the index cannot be written.
        OSError: its folder cannot be made.
    """
    folder.mkdir()
    writer = Writer(folder)
    try:
        yield writer
        writer.finish()
    finally:
        writer.close()
        for lock in folder.glob("*.lock"):
            lock.unlink()


@contextmanager
def _links(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    """Yield a temporary folder of links to the named files of `folder`."""
    links = Path(tempfile.mkdtemp(prefix="catalog-"))
    try:
        for name in names:
            (links / name).symlink_to((folder / name).resolve())
        yield links
    finally:
        _remove(links)


def _remove(links: Path) -> None:
    """Remove the folder; retry if a thread of the engine has just written its lock file there."""
    for _ in range(_REMOVALS):
        shutil.rmtree(links, ignore_errors=True)
        if not links.exists():
            return
        time.sleep(_SECONDS_BETWEEN_REMOVALS)


class Reader:
    """Searches one index."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        """Map the named files of `folder` into memory.

        The engine writes a lock file beside an index. It opens a folder of links, which is removed once the files are
        mapped, so that an index on a read-only disk can be searched.
        """
        with _links(folder, names) as links, search_errors():
            index = Index.open(str(links))
            index.config_reader("manual", 0)
            self._searcher: Searcher = index.searcher()
        self._schema = _schema()

    @property
    @search_errors()
    def documents(self) -> int:
        """The number of documents."""
        return self._searcher.num_docs

    @search_errors()
    def best(self, words: Iterable[str], count: int) -> list[tuple[float, bytes]]:
        """Return BM25 score and stored bytes of the `count` best documents, the best first.

        Equal scores come in the order of the documents.

        Raises:
            SearchError: the engine cannot search the index.
        """
        terms = [
            (Occur.Should, Query.term_query(self._schema, _WORDS, word, index_option=_FREQUENCIES)) for word in words
        ]
        return self._search(Query.boolean_query(terms), count) if terms else []

    @search_errors()
    def with_key(self, key: str) -> bytes | None:
        """Return the stored bytes of the document that has the key.

        Raises:
            SearchError: the engine cannot search the index.
        """
        found = self._search(Query.term_query(self._schema, _KEY, key, index_option="basic"), 1)
        return found[0][1] if found else None

    def _search(self, query: Query, count: int) -> list[tuple[float, bytes]]:
        # The engine reserves memory for as many hits as it is asked for.
        limit = min(count, self.documents)
        if limit < 1:
            return []
        hits = self._searcher.search(query, limit, count=False).hits
        return [(float(score), bytes(self._searcher.doc(at)[_STORED][0])) for score, at in hits]
