"""Rows of JSON, CSV and Parquet files with their places, and what their columns are called."""

import itertools
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from retrieval.products.columns import Columns
from retrieval.products.readers import read_rows
from tuning.selection.json_files import Record, json_objects
from tuning.selection.rows import Corrupt
from utilities.errors import UserError

_HEAD = 100
_JSON = (".json", ".jsonl", ".ndjson")


def table_rows(path: Path, columns: Columns, needed: Sequence[tuple[str, ...]]) -> Iterator[Record | Corrupt]:
    """Yield the rows of a table with their places; of `needed` fields one each must be among the columns.

    Raises:
        UserError: the file cannot be read, lacks a column, or is a CSV or Parquet file with a damaged row.
    """
    if path.suffix.lower() in _JSON:
        yield from _json_rows(path, columns, needed)
        return
    for place, row, _ in read_rows(path, columns, needed):
        yield place, dict(row)


def field_names(path: Path) -> Set[str]:
    """Return the names of a file's columns, or of the fields of its first row.

    Raises:
        UserError: the file cannot be read.
    """
    if path.suffix.lower() in _JSON:
        objects = (record[1] for record in itertools.islice(json_objects(path), _HEAD) if isinstance(record, tuple))
        return set(next(objects, {}))
    if path.suffix.lower() == ".parquet":
        return _parquet_names(path)
    first = next(read_rows(path, Columns({}, {}, ""), ()), None)
    return set(first.row) if first else set()


def _parquet_names(path: Path) -> Set[str]:
    try:
        from pyarrow import parquet

        return set(parquet.read_schema(path).names)
    except ImportError:
        raise UserError(
            f"{path} is a Parquet file, which pyarrow reads: pip install -r requirements-catalog.txt"
        ) from None
    except (OSError, ValueError) as error:
        problem = " ".join(str(error).split())[:120]
        raise UserError(f"{path} cannot be read as Parquet ({problem}): name a file that can be read") from None


def _json_rows(path: Path, columns: Columns, needed: Sequence[tuple[str, ...]]) -> Iterator[Record | Corrupt]:
    for record in json_objects(path):
        if isinstance(record, tuple):
            try:
                columns.check(path, list(record[1]), needed)
            except UserError as error:
                yield Corrupt(f"{record[0]}: {error}")
                continue
        yield record
