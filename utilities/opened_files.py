"""Opens files of rows and texts, unpacks gzip, and names files that hold something else: a pointer, a page, a zip."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from io import BufferedReader
from itertools import count
from pathlib import Path

from utilities.errors import UserError
from utilities.file_kinds import (
    BZIP2,
    GZIP,
    HEAD,
    HTML,
    OLD_WORKBOOK,
    PDF,
    POINTER,
    RAR,
    SEVEN_ZIP,
    UTF16,
    XML,
    XZ,
    ZIP,
    ZSTD,
    kind_of,
)

Stream = BufferedReader | gzip.GzipFile

_LONGEST_LINE = 1 << 24
_SAVE_AGAIN = "save the file in UTF-8"
_DOWNLOAD = "download the file itself"
_FOREIGN: Mapping[str, str] = {
    POINTER: "a Git LFS pointer, not the file itself: run `git lfs pull` in its repository",
    HTML: f"an HTML page: {_DOWNLOAD}",
    XML: f"an XML file: {_DOWNLOAD}, or convert it",
    ZIP: "a zip archive or a workbook: unpack it, or save its table as CSV",
    BZIP2: "packed with bzip2: unpack it with bunzip2",
    XZ: "packed with xz: unpack it with unxz",
    ZSTD: "packed with zstd: unpack it with unzstd",
    SEVEN_ZIP: "a 7z archive: unpack it",
    RAR: "a RAR archive: unpack it",
    OLD_WORKBOOK: "a workbook: save its table as CSV",
    PDF: f"a PDF document: {_DOWNLOAD}",
    UTF16: f"UTF-16 text: {_SAVE_AGAIN}",
}
"""The kind of a file that holds neither rows nor text -> its content and a remedy."""


def foreign_content(head: bytes) -> str:
    """Return the content and a remedy for a file that begins like no file of rows or texts; empty for any other."""
    if not head:
        return "empty: get the file again"
    # Text in UTF-16 without a byte order mark has a zero byte beside each letter.
    binary = f"binary data or UTF-16 text: {_SAVE_AGAIN}" if b"\0" in head[:4] else ""
    return _FOREIGN.get(kind_of(head), binary)


@contextmanager
def opened(path: Path) -> Iterator[tuple[BufferedReader, Stream]]:
    """Yield the file on the disk, for its position, and its unpacked bytes.

    Raises:
        UserError: the file cannot be read, or holds neither rows nor text.
    """
    try:
        with path.open("rb") as raw, gzip.open(raw) if kind_of(raw.peek(2)[:2]) == GZIP else nullcontext(raw) as file:
            if words := foreign_content(file.peek(HEAD)[:HEAD]):
                raise UserError(f"{path} is {words}")
            yield raw, file
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: name an existing file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder and cannot be read: name the files in it") from None
    except PermissionError:
        raise UserError(f"{path} cannot be read: allow reading it") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: damaged or cut gzip data ({error}): get the file again") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): name a file that can be read") from None


def lines_of(path: Path, file: Stream) -> Iterator[tuple[str, bytes]]:
    """Yield each line with its place for messages ("shop.csv, line 7").

    Raises:
        UserError: a line is longer than 16 MiB.
    """
    for number in count(1):
        line = file.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise UserError(f"{path}, line {number}: longer than 16 MiB: put each row on a separate line")
        if not line:
            return
        yield f"{path}, line {number}", line


def decoded(path: Path, data: bytes, place: str = "") -> str:
    """Return the bytes of a line, or of a whole file without `place`, as text; raise a `UserError` if not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{place or f'{path}, line {number}'}: not UTF-8 text: {_SAVE_AGAIN}") from None


def text_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file that are not blank, without white space around them.

    Raises:
        UserError: the file cannot be read, or is not text in UTF-8.
    """
    with opened(path) as (_, file):
        yield from filter(None, (decoded(path, line, place).strip() for place, line in lines_of(path, file)))
