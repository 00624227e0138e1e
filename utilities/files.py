"""Writes files atomically, so that an interruption never leaves half a file, and checks outputs."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from utilities.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
"""The root folder of the repository."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` on success and is removed on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_folder(folder: Path, option: str) -> None:
    """Make a folder and raise a `UserError` unless it is writable; `option` is the option that names the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{option}: nothing can be written in {folder} ({error.strerror}): name another") from None


@contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a `UserError` that names the file and the command-line option."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{option} {path} cannot be written ({error.strerror}): name another file") from None


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_json_lines(path: Path, values: Iterable[object]) -> None:
    """Write one value a line atomically; a line with half a surrogate pair, which UTF-8 lacks, is escaped."""
    write_text(path, "".join(f"{_line(value)}\n" for value in values))


def _line(value: object) -> str:
    readable = json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if any("\ud800" <= character <= "\udfff" for character in readable) else readable
