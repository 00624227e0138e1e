"""The formats of training data: one line each."""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Protocol

from tuning.selection import ecinstruct, esci, reviews, shopbench
from tuning.selection.rows import Names, Reading, ReadingOptions
from utilities.errors import UserError
from utilities.tables import rows_or_faults


class Format(Protocol):
    """A module that reads a format: `WORDS` describes its files in the help, `FIELDS` identify them."""

    WORDS: str
    FIELDS: Names

    def read(self, path: Path, options: ReadingOptions, /) -> Iterator[Reading]:
        """Yield the rows of a file, or raise a `UserError` if it cannot be read or lacks a column."""
        ...


FORMATS: Mapping[str, Format] = {
    "shopbench": shopbench,
    "ecinstruct": ecinstruct,
    "esci": esci,
    "reviews": reviews,
}
"""The reader of each format by its name; the first whose fields a file has reads the file."""


def format_of(path: Path) -> Format:
    """Return the format of a file by the names of its fields.

    Raises:
        UserError: the file cannot be read, or has no known format.
    """
    known = {name for each in FORMATS.values() for names in each.FIELDS for name in names}
    fields = _field_names(path, known)
    for each in FORMATS.values():
        if not any(fields.isdisjoint(names) for names in each.FIELDS):
            return each
    raise UserError(f"{path} is of no known format: name it by --source FORMAT=FILE, one of {', '.join(FORMATS)}")


def _field_names(path: Path, wanted: Collection[str]) -> Set[str]:
    """Return the names of a file's columns, or of the fields of its first JSON objects."""
    names: list[str] = []

    def note(columns: Sequence[str]) -> list[str]:
        names.extend(columns)
        return [name for name in columns if name in wanted]

    next(rows_or_faults(path, note), None)
    return set(names)
