"""Names the problem of a file that holds something else than its name says: a pointer, a web page, an archive."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from utilities.errors import UserError
from utilities.file_kinds import BZIP2, GGUF, GZIP, HDF5, HEAD, HTML, PICKLE, POINTER, XML, XZ, ZIP, ZSTD, kind_of
from utilities.json_files import read_object

_AGAIN = "download it again"
_UNPACK = "unpack it"
_FOREIGN: Mapping[str, tuple[str, str]] = {
    POINTER: (
        "is a Git LFS pointer, not the file itself",
        "run `git lfs pull` in the repository that it comes from",
    ),
    HTML: ("is an HTML page", "download the file itself, not the page that shows it"),
    XML: ("is an XML page", "download the file itself, not the page that reports an error"),
    ZIP: ("is a zip archive", f"{_UNPACK}; if it is PyTorch's own format, save the model as safetensors"),
    GZIP: ("is packed with gzip", _UNPACK),
    BZIP2: ("is packed with bzip2", _UNPACK),
    XZ: ("is packed with xz", _UNPACK),
    ZSTD: ("is packed with zstd", _UNPACK),
    GGUF: ("is a GGUF file", "take the model's safetensors files"),
    HDF5: ("is an HDF5 file", "take the model's safetensors files"),
    PICKLE: ("is a pickled PyTorch file", "save the model as safetensors"),
}
"""The kind of a file that is no model's -> the problem and the remedy."""


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
    if found := _FOREIGN.get(kind_of(_head(path))):
        raise DamagedFileError(path, *found)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
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
