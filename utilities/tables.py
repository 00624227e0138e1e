"""Reads the rows of JSON Lines, JSON arrays, CSV, TSV and Parquet files, plain or packed with gzip.

Every error is one sentence with file, line and remedy. Memory does not grow with the file, unless it is a JSON array or
Parquet inside gzip.
"""

import csv
import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from utilities.errors import UserError
from utilities.opened_files import Stream, decoded, lines_of, opened

FORMATS = "Parquet (.parquet), CSV (.csv), tab-separated (.tsv) or JSON (.jsonl, .json, .ndjson), also with .gz"
PARQUET_ROWS = 1000
"""Rows of a Parquet file that are in memory at a time."""

_JSON, _PARQUET = (".jsonl", ".json", ".ndjson"), b"PAR1"
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_WORDS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_LONGEST_CELL, _HEAD = 1 << 24, 4096
_QUOTED_HEADER = re.compile(rb'"[^"\t]*"(\t"[^"\t]*")*\s*(\n|\Z)')
_ESCAPED_CELL = re.compile(r'"(?=.*"")((?:[^"]|"")*)"')
_LONGEST_SHOWN, _FIRST = 60, 100

Choose = Callable[[Sequence[str]], Sequence[str]]
"""Checks the names of a file's columns, and returns the columns that are needed."""


class Placed(NamedTuple):
    """A row, or another value of a JSON file, with its place for messages ("shop.csv, line 7").

    Attributes:
        place: the file with the line, row or item.
        value: the value; a row is a mapping of fields to values.
        position: the bytes of the file that were read so far.
        is_json: whether the value has JSON's types; a cell of a table may be the text of a number or a list.
    """

    place: str
    value: Any
    position: int
    is_json: bool


def read_rows(path: Path, choose: Choose = list, *, is_object: bool = True) -> Iterator[Placed]:
    """Yield the rows of a file; `choose` gets the names of its columns, or of the fields of its first JSON objects.

    Without `is_object`, the values of a JSON file may be of any kind.

    Raises:
        UserError: the file cannot be read, is of no known format, or has a damaged row.
    """
    for found in rows_or_faults(path, choose, is_object=is_object):
        if isinstance(found, UserError):
            raise found
        yield found


def rows_or_faults(path: Path, choose: Choose = list, *, is_object: bool = True) -> Iterator[Placed | UserError]:
    """Yield the rows of a file as `read_rows` does, but a `UserError` in place of each damaged value of JSON."""
    found = _found(path, choose)
    first = [*islice(found, _FIRST)]
    if names := [name for each in first if _is_row(each) and each.is_json for name in each.value]:
        choose([*dict.fromkeys(names)])
    for each in chain(first, found):
        if is_object and isinstance(each, Placed) and not _is_row(each):
            yield UserError(f"{each.place}: not a JSON object: write the fields of one row as {{...}}")
        else:
            yield each


def _is_row(found: Placed | UserError) -> TypeGuard[Placed]:
    return isinstance(found, Placed) and isinstance(found.value, dict)


def is_table(path: Path) -> bool:
    """Return whether a file's name has the ending of a format that is read here."""
    return _suffix(path) in (".parquet", *_SEPARATORS, *_JSON)


@contextmanager
def naming(place: str, remedy: str = "") -> Iterator[None]:
    """Turn a ValueError of the block into a UserError that names the place and ends with the remedy."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{place}: {error}{remedy}") from None


def shown(value: object) -> str:
    """Return a value for a message, shortened: a text in quotation marks, any other value as JSON has it."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _suffix(path: Path) -> str:
    return Path(path.stem if path.suffix.lower() == ".gz" else path).suffix.lower()


def _found(path: Path, choose: Choose) -> Iterator[Placed | UserError]:
    suffix = _suffix(path)
    with opened(path) as (raw, file):
        head = file.peek(_HEAD).removeprefix(BOM_UTF8).lstrip()[:4]
        if suffix == ".parquet" or head == _PARQUET:
            yield from _parquet(path, file, choose)
        elif suffix in _SEPARATORS:
            for place, row in _table(path, file, _SEPARATORS[suffix], choose):
                yield Placed(place, row, raw.tell(), is_json=False)
        elif suffix not in _JSON and head[:1] not in (b"{", b"[", b'"'):
            raise UserError(f"{path} has no known format: its name must end in {FORMATS}")
        else:
            for value in _array(path, file) if head[:1] == b"[" else _lines(path, file):
                yield value if isinstance(value, UserError) else Placed(*value, raw.tell(), is_json=True)


def _lines(path: Path, file: Stream) -> Iterator[tuple[str, object] | UserError]:
    is_blank = True
    for place, line in lines_of(path, file):
        if not line.removeprefix(BOM_UTF8).strip():
            continue
        is_blank = False
        try:
            yield place, json.loads(decoded(path, line, place), parse_constant=_constant)
        except UserError as error:
            yield error
        except (ValueError, RecursionError) as error:
            yield UserError(f"{place}: not JSON ({_problem(error)}): write one whole JSON value on each line")
    if is_blank:
        raise UserError(f"{path} is empty but for white space: get the file again")


def _array(path: Path, file: Stream) -> Iterator[tuple[str, object]]:
    data = file.read()
    try:
        values = json.loads(decoded(path, data), parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        problem = f"line {getattr(error, 'lineno', 1)}: damaged JSON array ({_problem(error)})"
        raise UserError(f"{path}, {problem}: get the file again, or write one value a line") from None
    for number, value in enumerate(values, start=1):
        yield f"{path}, item {number}", value


def _constant(name: str) -> None:
    """Read NaN, which pandas and Python write for a missing value, as null."""
    if name != "NaN":
        raise ValueError(f"{name} is not a JSON number")


def _problem(error: Exception) -> str:
    return "too deep" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))


def _table(path: Path, file: Stream, separator: str, choose: Choose) -> Iterator[tuple[str, dict[str, str]]]:
    rows = _cells(path, file, separator)
    _, header = next(rows, ("", []))
    others = [each for each in _WORDS if each != separator and each in "".join(header)]
    if len(header) == 1 and others:
        problem = f"the columns are separated by {_WORDS[others[0]]}, not by {_WORDS[separator]}"
        raise UserError(f"{path}, line 1: {problem}: save the file with {_WORDS[separator]}")
    if len(set(header)) < len(header):
        raise UserError(f"{path}, line 1: two columns have the same name: rename one of them")
    choose(header)
    for place, row in rows:
        if len(row) != len(header):
            problem = f"{len(row)} values, but the first line names {len(header)} columns"
            quotes = "; between tabs, quotation marks count only if all fields have them" if separator == "\t" else ""
            raise UserError(f"{place}: {problem}: correct the line{quotes}")
        yield place, dict(zip(header, row, strict=True))


def _cells(path: Path, file: Stream, separator: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each row that is not blank, with the place where it begins.

    Between tabs, a quotation mark is a letter: reviews and titles have single ones for inches. It is none if all fields
    of the first line are quoted, or around a field that has doubled ones, as pandas writes it.
    """
    is_plain = separator == "\t" and not _QUOTED_HEADER.match(file.peek(_HEAD).removeprefix(BOM_UTF8).lstrip())
    lines = ((place, decoded(path, line, place)) for place, line in lines_of(path, file))
    if is_plain:
        for place, line in lines:
            if line.strip():
                yield place, [_unescaped(cell) for cell in line.rstrip("\r\n").split("\t")]
        return
    # Descriptions of products may be longer than the module's default limit, 131,072 characters.
    csv.field_size_limit(_LONGEST_CELL)
    table, place = csv.reader((line for _, line in lines), delimiter=separator, strict=True), f"{path}, line 1"
    try:
        for row in table:
            if len(row) > 1 or "".join(row).strip():
                yield place, row
            place = f"{path}, line {table.line_num + 1}"
    except csv.Error as error:
        raise UserError(f"{place}: not CSV ({error}): correct the line") from None


def _unescaped(cell: str) -> str:
    match = _ESCAPED_CELL.fullmatch(cell)
    return match[1].replace('""', '"') if match else cell


def _parquet(path: Path, file: Stream, choose: Choose) -> Iterator[Placed]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(f"{path} is a Parquet file: pip install -r requirements-catalog.txt") from None
    number = 0
    try:
        whole = path if isinstance(file, BufferedReader) else BytesIO(file.read())
        with parquet.ParquetFile(whole, memory_map=True) as table:
            wanted = [*choose(table.schema_arrow.names)]
            row_bytes = path.stat().st_size / max(table.metadata.num_rows, 1)
            for batch in table.iter_batches(batch_size=PARQUET_ROWS, columns=wanted, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield Placed(f"{path}, row {number}", row, int(number * row_bytes), is_json=False)
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
        problem = f"damaged Parquet file ({' '.join(str(error).split())[:120]})"
        raise UserError(f"{path}, row {number + 1} or one soon after: {problem}: get it again") from None
