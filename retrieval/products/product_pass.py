"""The pass over files of products."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from retrieval.products.columns import Columns, Row
from retrieval.products.exclusion import Guard
from retrieval.products.manifest import BuildSettings, Source
from retrieval.products.readers import Batch, row_name
from retrieval.products.search_engine import Writer
from retrieval.products.staging import Staging
from retrieval.products.tally import Exclusions, Tally
from retrieval.words import words

Batches = Callable[[Path, Columns, Sequence[tuple[str, ...]]], Iterator[Batch]]
HELD_BACK = "words of an evaluation file"


class _Product(NamedTuple):
    title: str
    folded: list[str]
    indexed: list[str]
    identity: str
    locale: str


class ProductPass:
    """Puts the products of files into the index, each once."""

    def __init__(
        self,
        settings: BuildSettings,
        columns: Columns,
        staged: Staging,
        guard: Guard,
        excluded: Exclusions,
        writer: Writer,
    ) -> None:
        self._settings = settings
        self._columns = columns
        self._staged = staged
        self._guard = guard
        self._excluded = excluded
        self._writer = writer
        self.kept = 0
        self.duplicates = 0

    def add_file(self, path: Path, batches: Batches) -> Source:
        """Index a file's products and return what became of its rows.

        Raises:
            UserError: the file cannot be read or a row is damaged.
        """
        tally = Tally(path, "products")
        needed = [("title",), *([("locale",)] if self._settings.locales else [])]
        for batch in batches(path, self._columns, needed):
            tally.rows += len(batch.rows)
            places = ((f"{path}, {row_name(path)} {number}", row) for number, row in batch.rows)
            self._add([found for place, row in places if (found := self._product(row, place, tally))], tally)
        return tally.source()

    def _product(self, row: Row, place: str, tally: Tally) -> _Product | None:
        locale = self._columns.text(row, "locale", place)
        if self._settings.locales and locale not in self._settings.locales:
            tally.drop("another locale")
            return None
        title = self._columns.title(row, place)
        folded = words(title, self._settings.stemming)
        if not folded:
            tally.drop("no word in the title" if title else "no title")
            return None
        return _Product(title, folded, self._indexed(row, folded, place), self._columns.text(row, "id", place), locale)

    def _indexed(self, row: Row, folded: list[str], place: str) -> list[str]:
        """Return the words of all fields that are indexed, in their order."""
        found = []
        for field in self._settings.indexed:
            found += folded if field == "title" else self._folded(self._columns.text(row, field, place))
        return found

    def _folded(self, text: str) -> list[str]:
        return words(text, self._settings.stemming)

    def _add(self, products: Sequence[_Product], tally: Tally) -> None:
        held = self._guard.titles([product.title for product in products])
        for product, evaluation in zip(products, held, strict=True):
            if evaluation is None:
                self._add_one(product, tally)
            else:
                self._excluded.product(evaluation, " ".join(product.folded))
                tally.drop(HELD_BACK)

    def _add_one(self, product: _Product, tally: Tally) -> None:
        number, is_new = self._staged.add_product(product.folded, product.title)
        if product.identity:
            self._staged.add_identity(product.identity, product.locale, number)
        if is_new:
            self._writer.add(product.indexed, product.title.encode())
            self.kept += 1
        else:
            self.duplicates += 1
            tally.drop("words of an earlier title")
