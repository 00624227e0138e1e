"""The formats of training data: one line each."""

from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import NamedTuple

from tuning.selection import ecinstruct, esci, reviews, shopbench
from tuning.selection.options import ReadingOptions
from tuning.selection.rows import Reading
from tuning.selection.tables import field_names
from utilities.errors import UserError


class Format(NamedTuple):
    """A format: what its files hold in words, how it is told by the names of fields, how a file is read."""

    words: str
    recognises: Callable[[Set[str]], bool]
    read: Callable[[Path, ReadingOptions], Iterator[Reading]]


FORMATS: Mapping[str, Format] = {
    shopbench.NAME: Format(shopbench.WORDS, shopbench.recognises, shopbench.read),
    ecinstruct.NAME: Format(ecinstruct.WORDS, ecinstruct.recognises, ecinstruct.read),
    esci.NAME: Format(esci.WORDS, esci.recognises, esci.read),
    reviews.NAME: Format(reviews.WORDS, reviews.recognises, reviews.read),
}
"""A format's name to what reads it; the first that recognises a file reads it."""


def format_of(path: Path) -> Format:
    """Return the format of a file by the names of its fields.

    Raises:
        UserError: the file cannot be read, or is of no known format.
    """
    fields = field_names(path)
    found = next((known for known in FORMATS.values() if known.recognises(fields)), None)
    if found is None:
        raise UserError(
            f"{path} is of no known format: say which with --source FORMAT=FILE, one of {', '.join(FORMATS)}"
        )
    return found
