"""Writing files so that an interruption never leaves half of one."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from utilities.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
"""The root folder of the repository."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_folder(folder: Path, option: str) -> None:
    """Make a folder and see that files can be written there, before long work and not after.

    Raises:
        UserError: they cannot; `option` is what named the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{option}: nothing can be written in {folder} ({error.strerror}): name another") from None


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON in one step."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
