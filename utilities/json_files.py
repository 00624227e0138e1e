"""Reads JSON files and JSON Lines; every error is one sentence with the file and the line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from utilities.errors import UserError


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """Return the names and values of a JSON file.

    Raises:
        UserError: the file cannot be read or holds no JSON object; the message ends with `remedy`.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be read ({reason}): {remedy}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not names and values: {remedy}")
    return content


def json_lines(path: Path) -> Iterator[tuple[int, object]]:
    """Yield line number (from 1) and value of each line that is not blank.

    Raises:
        UserError: the file cannot be read, is not UTF-8, or a line is not JSON.
    """
    for number, line in enumerate(decoded(path, read_bytes(path)).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            problem = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise UserError(f"{path}, line {number}: not JSON ({problem}): {_remedy(line)}") from None


@contextmanager
def naming_line(path: Path, number: int, remedy: str = "") -> Iterator[None]:
    """Turn a ValueError of the block into a UserError that names file and line and ends with the remedy."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}{remedy}") from None


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, or raise a `UserError` if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: name an existing file") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a readable file") from None


def decoded(path: Path, data: bytes) -> str:
    """Return a file's content as text without its byte order mark, or raise a `UserError` if it is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {number}: not UTF-8 text: save the file in UTF-8") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _remedy(line: str) -> str:
    if line.lstrip().startswith("["):
        return "this looks like a JSON array; write JSON Lines, one whole object a line, without [ and ]"
    return "write one whole JSON value on each line"
