"""Reads rows of Parquet, CSV and JSON Lines files one by one, so that memory does not grow with the file."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import BinaryIO, NamedTuple

from retrieval.products.columns import Columns, Row
from utilities.errors import UserError

FORMATS = "Parquet (.parquet), CSV (.csv, .tsv) or JSON Lines (.jsonl, .json, .ndjson), the last two also with .gz"

PARQUET_ROWS = 1000
"""Rows of a Parquet file that are in memory at a time."""

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_LONGEST_LINE = 1 << 24
_Needed = Sequence[tuple[str, ...]]


class PlacedRow(NamedTuple):
    """A row, its place for error messages ("shop.csv, line 7"), and the bytes of the file that were read so far."""

    place: str
    row: Row
    position: int


def read_rows(path: Path, columns: Columns, needed: _Needed) -> Iterator[PlacedRow]:
    """Yield the rows of a file; blank lines are skipped. The file must have a column for a field of each in `needed`.

    Raises:
        UserError: the file cannot be read, is of no known format, lacks a column or has a damaged line.
    """
    suffix = Path(path.stem if path.suffix.lower() == ".gz" else path).suffix.lower()
    with _file_errors(path):
        with path.open("rb") as file:
            head = file.read(len(_PARQUET))
        if suffix == ".parquet":
            _check_parquet(path, head)
            yield from _parquet(path, columns, needed)
        elif suffix in (".csv", ".tsv"):
            yield from _csv(path, columns, needed, "\t" if suffix == ".tsv" else ",")
        elif suffix in (".jsonl", ".json", ".ndjson"):
            for number, found in enumerate(json_objects(path)):
                if number == 0:
                    columns.check(path, list(found.row), needed)
                yield found
        else:
            raise UserError(f"{path} has no known format: its name must end in {FORMATS}")


def json_objects(path: Path) -> Iterator[PlacedRow]:
    """Yield the objects of a JSON Lines file, which may be packed with gzip.

    Raises:
        UserError: the file cannot be read, or a line is no JSON object.
    """
    with _file_errors(path), _lines(path) as (raw, lines):
        for place, line in lines:
            if line.strip():
                yield PlacedRow(place, _json_object(place, line), raw.tell())


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    """Raise a UserError in place of each error of reading a file."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: name an existing file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder: name the files in it") from None
    except PermissionError:
        raise UserError(f"{path} cannot be read: allow reading it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): name a file that can be read") from None


def _parquet(path: Path, columns: Columns, needed: _Needed) -> Iterator[PlacedRow]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            f"{path} is a Parquet file, which pyarrow reads: pip install -r requirements-catalog.txt"
        ) from None
    number = 0
    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            names = file.schema_arrow.names
            columns.check(path, names, needed)
            wanted = [name for name in names if name in columns.all_names()]
            row_bytes = path.stat().st_size / max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=wanted, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield PlacedRow(f"{path}, row {number}", row, int(number * row_bytes))
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
        problem = " ".join(str(error).split())[:120]
        raise UserError(
            f"{path}, row {number + 1} or one soon after: damaged Parquet file ({problem}): get it again"
        ) from None


def _check_parquet(path: Path, head: bytes) -> None:
    if head.startswith(_GZIP):
        raise UserError(f"{path} is a Parquet file inside gzip: unpack it with gunzip first")
    if head != _PARQUET:
        raise UserError(f"{path} is not a Parquet file: it does not begin with PAR1")


def _json_object(place: str, line: str) -> Row:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        problem = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise UserError(f"{place}: not JSON ({problem}): write one whole object on each line") from None
    if not isinstance(value, dict):
        raise UserError(f"{place}: not a JSON object: write the fields of one row as {{...}}")
    return value


def _csv(path: Path, columns: Columns, needed: _Needed, delimiter: str) -> Iterator[PlacedRow]:
    # Descriptions of products may be longer than the module's default limit, 131,072 characters.
    csv.field_size_limit(_LONGEST_LINE)
    with _lines(path) as (raw, lines):
        rows = _csv_rows(path, (text for _, text in lines), delimiter)
        _, header = next(rows, ("", []))
        columns.check(path, header, needed)
        if len(set(header)) < len(header):
            raise UserError(f"{path}, line 1: two columns have the same name: rename one of them")
        for place, row in rows:
            if len(row) != len(header):
                problem = f"{len(row)} values, but the first line names {len(header)} columns"
                raise UserError(f"{place}: {problem}: correct the line")
            yield PlacedRow(place, dict(zip(header, row, strict=True)), raw.tell())


def _csv_rows(path: Path, lines: Iterator[str], delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each row that is not blank, with the place where it begins."""
    place = f"{path}, line 1"
    table = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for row in table:
            if row:
                yield place, row
            place = f"{path}, line {table.line_num + 1}"
    except csv.Error as error:
        raise UserError(f"{place}: not CSV ({error}): correct the line") from None


@contextmanager
def _lines(path: Path) -> Iterator[tuple[BinaryIO, Iterator[tuple[str, str]]]]:
    """Yield the file on the disk, for its position, and its lines with their places, unpacked."""
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        with gzip.open(raw) if packed else nullcontext(raw) as file:
            yield raw, _decoded(path, file)


def _decoded(path: Path, file: BinaryIO | gzip.GzipFile) -> Iterator[tuple[str, str]]:
    for number in count(1):
        place = f"{path}, line {number}"
        try:
            line = file.readline(_LONGEST_LINE + 1)
            if len(line) > _LONGEST_LINE:
                raise UserError(f"{place}: longer than 16 MiB: put each row on a separate line")
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{place}: not UTF-8 text: save the file in UTF-8") from None
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UserError(f"{place}: damaged or cut gzip data ({error}): get the file again") from None
        if not line:
            return
        yield place, text
