"""Reads the input of a build in two passes: the files of products, then the files of judgements."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tqdm import tqdm

from retrieval.lexical import words
from retrieval.products.catalogue import query_key, query_words
from retrieval.products.columns import Columns, Row
from retrieval.products.leak_guard import Guard
from retrieval.products.manifest import BuildSettings, Dropped, Source
from retrieval.products.search_engine import Writer
from retrieval.products.staging import Staging
from utilities.fingerprint import sha256
from utilities.tables import read_rows

RELEVANT = 0.1
"""The smallest gain of a relevant product: that of a substitute, which fulfils a part of the query."""

HELD_BACK = "words of an evaluation file"


@dataclass(frozen=True)
class BuildState:
    """The parts of a build that both passes use."""

    settings: BuildSettings
    staged: Staging
    guard: Guard
    progress: "tqdm[object]"


class Pass:
    """Reads files of one kind, and counts the rows that it keeps or drops; `needed` is that of `Columns.check`."""

    def __init__(self, state: BuildState, columns: Columns, holds: str, needed: Sequence[tuple[str, ...]]) -> None:
        self._state = state
        self._settings = state.settings
        self._columns = columns
        self._holds = holds
        self._needed = needed
        self.kept = 0

    def add_file(self, path: Path) -> Source:
        """Add the rows of a file and return their counts.

        Raises:
            UserError: the file cannot be read or a row is damaged.
        """
        rows, dropped, before = 0, Counter[str](), self._state.progress.n
        self._state.progress.set_postfix_str(path.name)
        choose = partial(self._columns.chosen, path, self._needed)
        for place, row, position, _ in read_rows(path, choose):
            rows += 1
            if reason := self.add(row, place):
                dropped[reason] += 1
            self._state.progress.update(before + position - self._state.progress.n)
        kept = rows - dropped.total()
        self.kept += kept
        counts = tuple(Dropped(reason, count) for reason, count in sorted(dropped.items()))
        return Source(path.name, self._holds, sha256(path), path.stat().st_size, rows, kept, counts)

    def add(self, row: Row, place: str) -> str:
        """Keep a row and return nothing, or return the reason to drop it."""
        raise NotImplementedError


class ProductPass(Pass):
    """Writes the products of files into the index, each once."""

    def __init__(self, state: BuildState, columns: Columns, writer: Writer) -> None:
        needed = [("title",), *([("locale",)] if state.settings.locales else [])]
        super().__init__(state, columns, "products", needed)
        self._writer = writer
        self.duplicates = 0
        self.locales: set[str] = set()

    def add(self, row: Row, place: str) -> str:
        """Index the product of a row, or return the reason not to."""
        locale = self._columns.text(row, "locale", place)
        self.locales.add(locale)
        if self._settings.locales and locale not in self._settings.locales:
            return "another locale"
        title = self._columns.title(row, place)
        folded = words(title, self._settings.stemming)
        if not folded:
            return "no word in the title" if title else "no title"
        indexed = self._indexed(row, folded, place)
        identity = self._columns.text(row, "id", place)
        if evaluation := self._state.guard.title(title):
            evaluation.products.add(" ".join(folded))
            return HELD_BACK
        number, is_new = self._state.staged.add_product(folded, title)
        if identity:
            self._state.staged.add_identity(identity, locale, number)
        if not is_new:
            self.duplicates += 1
            return "words of an earlier title"
        self._writer.add(indexed, title.encode())
        return ""

    def _indexed(self, row: Row, folded: list[str], place: str) -> list[str]:
        """Return the words of all indexed fields, in their order."""
        found = []
        for field in self._settings.indexed:
            found += (
                folded if field == "title" else words(self._columns.text(row, field, place), self._settings.stemming)
            )
        return found


class JudgementPass(Pass):
    """Gathers the relevant titles of each query, once all products are known."""

    def __init__(self, state: BuildState, columns: Columns) -> None:
        needed = [("query",), ("id", "title"), *([("split",)] if state.settings.split else [])]
        super().__init__(state, columns, "judgements", needed)
        self.splits: set[str] = set()

    def add(self, row: Row, place: str) -> str:
        """Remember the judgement of a row, or return the reason not to."""
        if reason := self._unwanted(row, place):
            return reason
        query = self._columns.text(row, "query", place)
        key = query_key(query_words(query, self._settings.stemming))
        title = self._title(row, place)
        evaluation = self._state.guard.query(query)
        if evaluation:
            evaluation.queries.add(key)
        if not key:
            return "no word in the query"
        if not (evaluation or title):
            return "no such product in the sources"
        if evaluation or self._state.guard.title(title):
            return HELD_BACK
        self._state.staged.add_judgement(key, query, title, self._columns.gain(row, place))
        return ""

    def _unwanted(self, row: Row, place: str) -> str:
        """Return the reason why the settings exclude a row; empty if they include it."""
        locale = self._columns.text(row, "locale", place)
        if self._settings.locales and locale and locale not in self._settings.locales:
            return "another locale"
        if self._settings.split:
            self.splits.add(split := self._columns.text(row, "split", place))
            if split != self._settings.split:
                return "another split"
        return "" if self._columns.gain(row, place) >= RELEVANT else "too small a gain"

    def _title(self, row: Row, place: str) -> str:
        """Return the title of the product that the row names, by its id if it has one; empty for an unknown product."""
        identity = self._columns.text(row, "id", place)
        if identity:
            return self._state.staged.title_of(identity, self._columns.text(row, "locale", place))
        return self._columns.title(row, place)
