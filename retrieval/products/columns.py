"""Finds the columns of a file by common names, or by names from the command line."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from utilities.errors import UserError
from utilities.plain_text import plain_text

Row = Mapping[str, object]

PRODUCT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "title": ("title", "product_title", "name", "product_name", "item_name"),
    "id": ("id", "product_id", "asin", "parent_asin", "item_id", "sku"),
    "locale": ("locale", "product_locale", "language", "lang"),
    "brand": ("brand", "product_brand", "manufacturer", "store"),
    "color": ("color", "product_color", "product_color_name", "colour"),
    "bullet": ("bullet", "product_bullet_point", "bullet_points", "bullets", "features", "feature"),
    "description": ("description", "product_description", "desc"),
}
"""Fields of a product, each with the names of columns that may hold it; the first one in a row counts."""

JUDGEMENT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "query": ("query", "search_term", "search_query"),
    "id": ("product_id", "id", "asin", "item_id", "sku"),
    "title": ("title", "product_title"),
    "gain": ("esci_label", "label", "gain", "relevance"),
    "locale": ("product_locale", "locale", "query_locale"),
    "split": ("split",),
}
"""Fields of a judgement, each with the names of columns that may hold it; the first one in a row counts."""

LONGEST_TITLE = 2000
"""Characters of a title that are kept, so that a long text in this column cannot stall a build."""

INDEXABLE = tuple(field for field in PRODUCT_COLUMNS if field not in ("id", "locale"))
_GAINS = {"exact": 1.0, "substitute": 0.1, "complement": 0.01, "irrelevant": 0.0}
_GAINS |= {label[0]: gain for label, gain in _GAINS.items()}


@dataclass(frozen=True)
class Columns:
    """The columns of one kind of file.

    Attributes:
        known: fields, each with the names of columns that may hold it.
        named: fields whose column the command line names.
        option: the option that names them; empty if there is none.
    """

    known: Mapping[str, tuple[str, ...]]
    named: Mapping[str, str]
    option: str

    def names(self, field: str) -> tuple[str, ...]:
        """Return the names under which a field is looked for."""
        return (self.named[field],) if field in self.named else self.known[field]

    def check(self, path: Path, columns: Sequence[str], needed: Sequence[tuple[str, ...]]) -> None:
        """Refuse a file that lacks a column named on the command line, or all columns for the fields of one `needed`.

        Raises:
            UserError: a column is missing.
        """
        for fields in (*needed, *((field,) for field in self.named)):
            names = [name for field in fields for name in self.names(field)]
            if set(names).isdisjoint(columns):
                remedy = f"name one with {self.option} {fields[0]}=COLUMN"
                remedy = remedy if self.option else f"rename one to {names[0]}"
                raise UserError(
                    f"{path} has no column {' or '.join(names)} for the {' or '.join(fields)}, its columns are "
                    f"{_listed(columns)}: {remedy}"
                )

    def chosen(self, path: Path, needed: Sequence[tuple[str, ...]], columns: Sequence[str]) -> list[str]:
        """Check the columns of a file, and return those that are read.

        Raises:
            UserError: a column is missing.
        """
        self.check(path, columns, needed)
        known = {name for field in self.known for name in self.names(field)}
        return [name for name in columns if name in known]

    def text(self, row: Row, field: str, place: str) -> str:
        """Return a field of a row in one line, empty where it is not given.

        Raises:
            UserError: the value is no text.
        """
        name = next((name for name in self.names(field) if row.get(name) is not None), "")
        text = _as_text(row[name], name, place) if name else ""
        # UTF-8 cannot encode a lone surrogate.
        return " ".join(plain_text(text).split()).encode("utf-8", "replace").decode()

    def title(self, row: Row, place: str) -> str:
        """Return the title of a row in one line, cut to `LONGEST_TITLE` characters, empty where it is not given.

        Raises:
            UserError: the value is no text.
        """
        return self.text(row, "title", place)[:LONGEST_TITLE].rstrip()

    def gain(self, row: Row, place: str) -> float:
        """Return the gain of a judgement: a number, or that of a label; 1 if there is no such column.

        The gains of the labels E, S, C and I are those of the Shopping Queries task (Reddy et al., 2022).

        Raises:
            UserError: the value is neither a number nor a label of the task.
        """
        name = next((name for name in self.names("gain") if name in row), "")
        if not name:
            return 1.0
        text = self.text(row, "gain", place)
        try:
            gain = _GAINS[text.lower()] if text.lower() in _GAINS else float(text)
        except ValueError:
            gain = math.nan
        if not math.isfinite(gain):
            raise UserError(f"{place}: {name} is {text[:40]!r}: write a number, or one of E, S, C, I")
        return gain


def read_columns(known: Mapping[str, tuple[str, ...]], text: str, option: str) -> Columns:
    """Read `field=column,field=column` from the command line.

    Raises:
        UserError: a part is no pair, or names an unknown field.
    """
    named = dict(_pair(part, known, option) for part in text.split(",") if part.strip())
    return Columns(known, named, option)


def _pair(part: str, known: Mapping[str, tuple[str, ...]], option: str) -> tuple[str, str]:
    field, equals, column = (each.strip() for each in part.partition("="))
    if not (field and equals and column):
        raise UserError(f"{option}: {part.strip()!r} is not a pair of a field and a column: write e.g. title=name")
    if field not in known:
        raise UserError(f"{option}: there is no field {field!r}: use {', '.join(known)}")
    return field, column


def _as_text(value: object, name: str, place: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "" if value != value else str(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " ".join(value)
    raise UserError(f"{place}: {name} is a {type(value).__name__}: make it a text or leave it out")


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(columns[:20])
    return f"{shown} ..." if len(columns) > 20 else shown or "none"
