"""Names the problem of a file that holds something else than its name says: a pointer, a web page, an archive."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from utilities.errors import UserError
from utilities.json_files import read_object

_HEAD = 512
_AGAIN = "download it again"
_UNPACK = "unpack it"
_FOREIGN: Mapping[bytes, tuple[str, str]] = {
    b"version https://git-lfs": (
        "is a Git LFS pointer, not the file itself",
        "run `git lfs pull` in the repository that it comes from",
    ),
    b"<!doctype": ("is an HTML page", "download the file itself, not the page that shows it"),
    b"<html": ("is an HTML page", "download the file itself, not the page that shows it"),
    b"<?xml": ("is an XML page", "download the file itself, not the page that reports an error"),
    b"pk\x03\x04": ("is a zip archive", f"{_UNPACK}; if it is PyTorch's own format, save the model as safetensors"),
    b"\x1f\x8b": ("is packed with gzip", _UNPACK),
    b"bzh": ("is packed with bzip2", _UNPACK),
    b"\xfd7zxz": ("is packed with xz", _UNPACK),
    b"\x28\xb5\x2f\xfd": ("is packed with zstd", _UNPACK),
    b"gguf": ("is a GGUF file", "take the model's safetensors files"),
    b"\x89hdf": ("is an HDF5 file", "take the model's safetensors files"),
    b"\x80\x02\x8a\nl\xfc\x9cf": ("is a pickled PyTorch file", "save the model as safetensors"),
}
"""Beginnings of files, in lower case -> the problem and the remedy."""


class DamagedFileError(UserError):
    """A file or folder of a model that cannot be used: its path, the problem as a predicate, and the remedy."""

    def __init__(self, path: Path, problem: str, remedy: str = _AGAIN) -> None:
        super().__init__(f"{path} {problem}: {remedy}")
        self.path, self.problem, self.remedy = path, problem, remedy


def require_file(path: Path) -> None:
    """Raise a `DamagedFileError` unless `path` is a file that has bytes and can be read."""
    if path.is_dir():
        raise DamagedFileError(path, "is a folder, not a file", "put the file of that name there")
    if path.is_symlink() and not path.exists():
        raise DamagedFileError(path, "is a link to a file that is not there", "copy the file itself")
    if not path.exists():
        raise DamagedFileError(path, "is missing", "copy it from where the other files come from")
    if path.stat().st_size == 0:
        raise DamagedFileError(path, "is empty")


def refuse_foreign(path: Path) -> None:
    """Raise a `DamagedFileError` if the file at `path` is missing, empty, unreadable or of a kind that is no model's.

    A sound safetensors file can begin with the bytes of an archive, so such a file is only tested if it is not sound.
    """
    require_file(path)
    head = _head(path).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, (problem, remedy) in _FOREIGN.items():
        if head.startswith(start):
            raise DamagedFileError(path, problem, remedy)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise DamagedFileError(path, f"cannot be read ({error.strerror})", "allow reading it") from None


def read_model_json(path: Path) -> dict[str, Any]:
    """Return the names and values of a JSON file of a model, or raise a `DamagedFileError`."""
    refuse_foreign(path)
    try:
        return read_object(path, _AGAIN)
    except UserError as error:
        problem = str(error).removeprefix(f"{path} ").removesuffix(f": {_AGAIN}")
        raise DamagedFileError(path, problem) from None
