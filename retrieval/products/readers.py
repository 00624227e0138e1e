"""Rows of Parquet, CSV and JSON Lines files, a batch at a time, so that memory does not grow with the file."""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from retrieval.products.columns import Columns, Row
from utilities.errors import UserError

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_LONGEST_LINE = 1 << 24
FORMATS = "Parquet (.parquet), CSV (.csv, .tsv) or JSON Lines (.jsonl, .json, .ndjson), the last two also with .gz"


@dataclass(frozen=True)
class Batch:
    """Some rows, each with its number in the file, and how many of the file's bytes have been read after them."""

    rows: list[tuple[int, Row]]
    position: int


@dataclass(frozen=True)
class Reading:
    """How a file is to be read: its columns, those of which one each must be there, and how many rows at a time."""

    path: Path
    columns: Columns
    needed: Sequence[tuple[str, ...]]
    batch_rows: int


def read_batches(reading: Reading) -> Iterator[Batch]:
    """Yield the rows of a file; blank lines are skipped.

    Raises:
        UserError: the file cannot be read, is of no known format, lacks a column or has a damaged line.
    """
    path = reading.path
    try:
        with path.open("rb") as file:
            yield from _reader(path, file.read(4))(reading)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: name an existing file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder: name the files in it") from None
    except PermissionError:
        raise UserError(f"{path} cannot be read: allow reading it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): name a file that can be read") from None


def row_name(path: Path) -> str:
    """Return what a row's number counts in this file."""
    return "row" if path.suffix.lower() == ".parquet" else "line"


def _reader(path: Path, head: bytes) -> Callable[[Reading], Iterator[Batch]]:
    suffix = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if suffix == ".parquet":
        if head[:2] == _GZIP:
            raise UserError(f"{path} is a Parquet file inside gzip: unpack it with gunzip first")
        if head != _PARQUET:
            raise UserError(f"{path} is no Parquet file: it does not begin with PAR1")
        return _parquet
    if suffix in (".csv", ".tsv"):
        return _csv
    if suffix in (".jsonl", ".json", ".ndjson"):
        return _json_lines
    raise UserError(f"{path} has a name of no known format: give it the ending of {FORMATS}")


def _parquet(reading: Reading) -> Iterator[Batch]:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise UserError(
            f"{reading.path} is a Parquet file, which pyarrow reads: pip install -r requirements-catalog.txt"
        ) from None
    number = 0
    try:
        with parquet.ParquetFile(reading.path, memory_map=True) as file:
            names = file.schema_arrow.names
            reading.columns.check(reading.path, names, reading.needed)
            wanted = [name for name in names if name in reading.columns.all_names()]
            total = max(file.metadata.num_rows, 1)
            size = reading.path.stat().st_size
            for batch in file.iter_batches(batch_size=reading.batch_rows, columns=wanted, use_threads=False):
                rows = list(enumerate(batch.to_pylist(), start=number + 1))
                number += len(rows)
                yield Batch(rows, size * number // total)
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
        problem = " ".join(str(error).split())[:120]
        raise UserError(
            f"{reading.path}, row {number + 1} or one soon after: damaged Parquet file ({problem}): get it again"
        ) from None


def _json_lines(reading: Reading) -> Iterator[Batch]:
    with _text_lines(reading.path) as (raw, lines):
        rows = ((number, _json_object(reading.path, number, line)) for number, line in lines if line.strip())
        first = next(rows, None)
        if first:
            reading.columns.check(reading.path, list(first[1]), reading.needed)
            yield from _batches(chain([first], rows), raw, reading.batch_rows)


def _json_object(path: Path, number: int, line: str) -> Row:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        problem = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise UserError(f"{path}, line {number}: not JSON ({problem}): write one whole object on each line") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}, line {number}: no JSON object: write the fields of one row as {{...}}")
    return value


def _csv(reading: Reading) -> Iterator[Batch]:
    # Descriptions of products may be longer than the module's own limit, 131,072 characters.
    csv.field_size_limit(_LONGEST_LINE)
    with _text_lines(reading.path) as (raw, lines):
        rows = _csv_rows(reading.path, (line for _, line in lines))
        header = next(rows, (0, []))[1]
        reading.columns.check(reading.path, header, reading.needed)
        if len(set(header)) < len(header):
            raise UserError(f"{reading.path}, line 1: two columns have the same name: rename one of them")
        whole = ((number, _checked(reading.path, number, header, row)) for number, row in rows)
        yield from _batches(whole, raw, reading.batch_rows)


def _csv_rows(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    table = csv.reader(lines, delimiter="\t" if ".tsv" in path.suffixes else ",", strict=True)
    while True:
        number = table.line_num + 1
        try:
            row = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(f"{path}, line {number}: no CSV ({error}): mend the line") from None
        if row:
            yield number, row


def _checked(path: Path, number: int, header: Sequence[str], row: Sequence[str]) -> Row:
    if len(row) != len(header):
        raise UserError(
            f"{path}, line {number}: {len(row)} values, but the first line names {len(header)} columns: mend the line"
        )
    return dict(zip(header, row, strict=True))


def _batches(rows: Iterable[tuple[int, Row]], raw: BinaryIO, batch_rows: int) -> Iterator[Batch]:
    remaining = iter(rows)
    while batch := list(islice(remaining, batch_rows)):
        yield Batch(batch, raw.tell())


@contextmanager
def _text_lines(path: Path) -> Iterator[tuple[BinaryIO, Iterator[tuple[int, str]]]]:
    """Give the file as it lies on the disk, for its position, and its numbered lines, unpacked."""
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        if not packed:
            yield raw, _decoded(path, raw)
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield raw, _decoded(path, unpacked)


def _decoded(path: Path, file: BinaryIO | gzip.GzipFile) -> Iterator[tuple[int, str]]:
    number = 0
    while line := _next_line(path, file, number + 1):
        number += 1
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{path}, line {number}: not UTF-8 text: save the file in UTF-8") from None


def _next_line(path: Path, file: BinaryIO | gzip.GzipFile, number: int) -> bytes:
    try:
        line = file.readline(_LONGEST_LINE + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}, line {number}: damaged or cut gzip data ({error}): get the file again") from None
    if len(line) > _LONGEST_LINE:
        raise UserError(f"{path}, line {number}: longer than 16 MiB: put each row on a line of its own")
    return line
