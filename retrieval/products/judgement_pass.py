"""The pass over files of judgements: queries with the products that were found relevant to them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from retrieval.products.catalogue import query_key, query_words
from retrieval.products.columns import Columns, Row
from retrieval.products.exclusion import Guard
from retrieval.products.manifest import BuildSettings, Source
from retrieval.products.product_pass import HELD_BACK, Batches
from retrieval.products.readers import row_name
from retrieval.products.staging import Staging
from retrieval.products.tally import Exclusions, Tally

RELEVANT = 0.1
"""The smallest gain of a relevant product: that of a substitute, which does part of what was searched for."""


class _Judgement(NamedTuple):
    query: str
    key: str
    title: str
    gain: float


class JudgementPass:
    """Gathers the relevant titles of each query, once all products are known."""

    def __init__(
        self, settings: BuildSettings, columns: Columns, staged: Staging, guard: Guard, excluded: Exclusions
    ) -> None:
        self._settings = settings
        self._columns = columns
        self._staged = staged
        self._guard = guard
        self._excluded = excluded
        self.kept = 0

    def add_file(self, path: Path, batches: Batches) -> Source:
        """Remember a file's judgements and return what became of its rows.

        Raises:
            UserError: the file cannot be read or a row is damaged.
        """
        tally = Tally(path, "judgements")
        for batch in batches(path, self._columns, self._needed()):
            tally.rows += len(batch.rows)
            places = ((f"{path}, {row_name(path)} {number}", row) for number, row in batch.rows)
            self._add([found for place, row in places if (found := self._judgement(row, place, tally))], tally)
        return tally.source()

    def _needed(self) -> list[tuple[str, ...]]:
        return [("query",), ("id", "title"), *([("split",)] if self._settings.split else [])]

    def _judgement(self, row: Row, place: str, tally: Tally) -> _Judgement | None:
        if reason := self._unasked(row, place):
            tally.drop(reason)
            return None
        query = self._columns.text(row, "query", place)
        key = query_key(query_words(query, self._settings.stemming))
        title = self._title(row, place)
        evaluation = self._guard.query(query)
        if evaluation is not None:
            self._excluded.query(evaluation, key)
        if reason := _unusable(key, title, held_back=evaluation is not None):
            tally.drop(reason)
            return None
        assert title
        return _Judgement(query, key, title, self._columns.gain(row, place))

    def _unasked(self, row: Row, place: str) -> str:
        """Say why the settings leave a row out, empty where they do not."""
        locale = self._columns.text(row, "locale", place)
        if self._settings.locales and locale and locale not in self._settings.locales:
            return "another locale"
        if self._settings.split and self._columns.text(row, "split", place) != self._settings.split:
            return "another split"
        return "" if self._columns.gain(row, place) >= RELEVANT else "too small a gain"

    def _title(self, row: Row, place: str) -> str | None:
        """Return the title of the product that the row names, by its id if it has one."""
        identity = self._columns.text(row, "id", place)
        if identity:
            return self._staged.title_of(identity, self._columns.text(row, "locale", place))
        return self._columns.title(row, place)

    def _add(self, judgements: Sequence[_Judgement], tally: Tally) -> None:
        held = self._guard.titles([each.title for each in judgements])
        for judgement, evaluation in zip(judgements, held, strict=True):
            if evaluation is None:
                self._staged.add_judgement(judgement.key, judgement.query, judgement.title, judgement.gain)
                self.kept += 1
            else:
                tally.drop(HELD_BACK)


def _unusable(key: str, title: str | None, *, held_back: bool) -> str:
    if not key:
        return "no word in the query"
    if held_back:
        return HELD_BACK
    return "" if title else "no such product in the sources"
