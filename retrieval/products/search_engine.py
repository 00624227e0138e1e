"""The search engine: tantivy behind a few functions, with its errors, and its panics, as Python's exceptions."""

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tantivy import Document, Index, Occur, Query, Schema, SchemaBuilder, Searcher

WORDS = "words"
KEY = "key"
_STORED = "stored"
# Room for about two million titles before a segment is written: one segment is searched faster than several.
_WRITER_BYTES = 256_000_000
_FREQUENCIES = "freq"
_REMOVALS = 10
_SECONDS_BETWEEN_REMOVALS = 0.01


class EngineError(Exception):
    """The engine cannot read, search or write an index; also what stands for a panic of its code."""


@contextmanager
def engine_errors() -> Iterator[None]:
    """Turn whatever the engine raises into `EngineError`.

    A panic of its code arrives as a `PanicException`, which is no `Exception` and cannot be imported.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, OSError, RuntimeError, SystemError) as error:
        raise EngineError(_one_line(error)) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise EngineError(_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def schema() -> Schema:
    """Return the fields of an index: words to be searched, one key, and bytes to be given back.

    Words come joined by blanks. Frequencies suffice, as nothing asks for words in a row.
    """
    builder = SchemaBuilder()
    builder.add_text_field(WORDS, stored=False, tokenizer_name="whitespace", index_option=_FREQUENCIES)
    builder.add_text_field(KEY, stored=False, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field(_STORED, stored=True, indexed=False)
    return builder.build()


class Writer:
    """Writes one index into an empty folder, with one thread, so that equal input makes equal segments."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        with engine_errors():
            self._writer = Index(schema(), path=str(folder)).writer(_WRITER_BYTES, 1)

    def add(self, words: Iterable[str], stored: bytes, key: str | None = None) -> None:
        """Add a document of these words."""
        fields: dict[str, object] = {WORDS: " ".join(words), _STORED: stored}
        with engine_errors():
            self._writer.add_document(Document(**fields, **({} if key is None else {KEY: key})))

    def finish(self) -> None:
        """Write what was added and wait until it is merged."""
        with engine_errors():
            self._writer.commit()
            self._writer.wait_merging_threads()

    def close(self) -> None:
        """End the engine's threads, so that nothing is written any more."""
        # They end with the object that owns them.
        del self._writer


@contextmanager
def writing(folder: Path) -> Iterator[Writer]:
    """Give a writer of a new index, which is finished at the end.

    Raises:
        EngineError: the index cannot be written.
    """
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
    """Give a folder of links to the named files of `folder` for a while."""
    links = Path(tempfile.mkdtemp(prefix="catalog-"))
    try:
        for name in names:
            (links / name).symlink_to((folder / name).resolve())
        yield links
    finally:
        _remove(links)


def _remove(links: Path) -> None:
    """Remove the folder, again if a thread of the engine has just put its lock file there."""
    for _ in range(_REMOVALS):
        shutil.rmtree(links, ignore_errors=True)
        if not links.exists():
            return
        time.sleep(_SECONDS_BETWEEN_REMOVALS)


class Reader:
    """Searches one index."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        """Map the named files of `folder` into memory.

        The engine wants to write a lock file where an index lies. It is given a folder of links that vanishes once the
        files are mapped, so that an index can also be read where nothing may be written.
        """
        self._schema = schema()
        with _links(folder, names) as links, engine_errors():
            index = Index.open(str(links))
            index.config_reader("manual", 0)
            self._searcher: Searcher = index.searcher()

    @property
    def documents(self) -> int:
        """How many documents there are."""
        with engine_errors():
            return self._searcher.num_docs

    def best(self, words: Iterable[str], count: int) -> list[tuple[float, bytes]]:
        """Return BM25 score and stored bytes of the `count` best documents, the best first.

        Equal scores come in the order of the documents.

        Raises:
            EngineError: the engine cannot search the index.
        """
        with engine_errors():
            terms = [(Occur.Should, self._term(word)) for word in words]
            return self._search(Query.boolean_query(terms), count) if terms else []

    def with_key(self, key: str) -> bytes | None:
        """Return the stored bytes of the document that has the key.

        Raises:
            EngineError: the engine cannot search the index.
        """
        with engine_errors():
            found = self._search(Query.term_query(self._schema, KEY, key, index_option="basic"), 1)
            return found[0][1] if found else None

    def _term(self, word: str) -> Query:
        return Query.term_query(self._schema, WORDS, word, index_option=_FREQUENCIES)

    def _search(self, query: Query, count: int) -> list[tuple[float, bytes]]:
        # The engine reserves room for as many hits as it is asked for.
        limit = min(count, self.documents)
        if limit < 1:
            return []
        hits = self._searcher.search(query, limit, count=False).hits
        return [(float(score), bytes(self._searcher.doc(at)[_STORED][0])) for score, at in hits]
