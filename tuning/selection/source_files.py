"""Rows of JSON, CSV and Parquet files with their places, and the names of their fields."""

import itertools
import json
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator, Set
from pathlib import Path

from retrieval.products.columns import Columns
from retrieval.products.readers import read_rows
from tuning.selection.rows import Corrupt, Names, Record
from utilities.errors import UserError
from utilities.json_files import decoded, read_bytes

_HEAD = 100
_JSON = (".json", ".jsonl", ".ndjson")


def table_rows(path: Path, columns: Columns, needed: Names) -> Iterator[Record | Corrupt]:
    """Yield the rows of a table with their places.

    Raises:
        UserError: the file cannot be read, has no column for a group of `needed`, or is a CSV or Parquet file with a
            damaged row.
    """
    if path.suffix.lower() not in _JSON:
        for place, row, _ in read_rows(path, columns, needed):
            yield place, dict(row)
        return
    for record in json_objects(path):
        if isinstance(record, tuple):
            try:
                columns.check(path, list(record[1]), needed)
            except UserError as error:
                record = Corrupt(f"{record[0]}: {error}")
        yield record


def field_names(path: Path, wanted: Collection[str]) -> Set[str]:
    """Return the names of the fields of a file's first row; of a Parquet file's those in `wanted`.

    Raises:
        UserError: the file cannot be read.
    """
    if path.suffix.lower() in _JSON:
        objects = (record[1] for record in itertools.islice(json_objects(path), _HEAD) if isinstance(record, tuple))
        return set(next(objects, {}))
    columns = Columns({name: (name,) for name in wanted}, {}, "")
    first = next(read_rows(path, columns, ()), None)
    return set(first.row) if first else set()


def json_objects(path: Path) -> Iterator[Record | Corrupt]:
    """Yield the objects of JSON Lines or of one JSON array with their places; a damaged line is `Corrupt`.

    Raises:
        UserError: the file cannot be read, or is a damaged array.
    """
    data = read_bytes(path).removeprefix(BOM_UTF8)
    if data.lstrip().startswith(b"["):
        for number, value in enumerate(_array(path, data), start=1):
            yield _object(f"{path}, item {number}", value)
        return
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield _from_line(f"{path}, line {number}", line)


def _array(path: Path, data: bytes) -> list[object]:
    try:
        values = json.loads(decoded(path, data))
    except (ValueError, RecursionError) as error:
        problem, line = (error.msg, error.lineno) if isinstance(error, json.JSONDecodeError) else (error, 1)
        raise UserError(f"{path}, line {line}: damaged JSON array ({problem}): get the file again") from None
    assert isinstance(values, list)
    return values


def _from_line(place: str, line: bytes) -> Record | Corrupt:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        return Corrupt(f"{place}: not UTF-8 text: save the file in UTF-8, or leave such rows out with --skip-corrupt")
    except (ValueError, RecursionError) as error:
        problem = error.msg if isinstance(error, json.JSONDecodeError) else type(error).__name__
        return Corrupt(f"{place}: not JSON ({problem}): correct the line, or leave such rows out with --skip-corrupt")
    return _object(place, value)


def _object(place: str, value: object) -> Record | Corrupt:
    if not isinstance(value, dict):
        return Corrupt(f"{place}: not a JSON object: write the fields of one row as {{...}}")
    return place, value
