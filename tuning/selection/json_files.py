"""Objects of a JSON file: JSON Lines, or one array."""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

from tuning.selection.rows import Corrupt
from utilities.errors import UserError

Record = tuple[str, dict[str, object]]


def json_objects(path: Path) -> Iterator[Record | Corrupt]:
    """Yield the place ("FILE, line 3") and the value of each object; a damaged line is `Corrupt`.

    Raises:
        UserError: the file cannot be read, or is an array that is damaged.
    """
    data = _data(path)
    if data.lstrip().startswith(b"["):
        for number, value in enumerate(_array(path, data), start=1):
            yield _object(f"{path}, item {number}", value)
        return
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            yield _from_line(f"{path}, line {number}", line)


def _data(path: Path) -> bytes:
    try:
        return path.read_bytes().removeprefix(BOM_UTF8)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: name an existing file") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a readable file") from None


def _array(path: Path, data: bytes) -> list[object]:
    try:
        values = json.loads(data.decode())
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {number}: not UTF-8 text: save the file in UTF-8") from None
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
        return Corrupt(f"{place}: not JSON ({problem}): mend the line, or leave such rows out with --skip-corrupt")
    return _object(place, value)


def _object(place: str, value: object) -> Record | Corrupt:
    if not isinstance(value, dict):
        return Corrupt(f"{place}: no JSON object: write the fields of one row as {{...}}")
    return place, value
