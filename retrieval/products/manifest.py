"""What a catalogue says of itself: sources, counts, versions, settings, and the checksums of its files."""

import hashlib
import json
import platform
import re
import tomllib
import zlib
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from retrieval.words import words
from utilities.errors import UserError
from utilities.files import ROOT, write_json
from utilities.typed_yaml import build, checked
from utilities.wheels import sha256

FORMAT = 1
"""Raised whenever folders made before cannot be read any more."""

MANIFEST = "catalog.json"
PRODUCTS = "products"
QUERIES = "queries"
REBUILD = "build it again with `python -m retrieval.products build`"

_PYPROJECT = ROOT / "pyproject.toml"
_NAME = re.compile(rf"(?:{PRODUCTS}|{QUERIES})/\.?\w[\w.-]*", re.ASCII)
_PIECE = 1 << 20
_PROBE = "12 x 57 g XT-30 2.5\" screws, children's batteries, Größe, años, chevaux, città, 電子レンジ 1½ in."


@checked
class Versions:
    """The programs that made a catalogue."""

    shopalign: str
    python: str
    tantivy: str


@checked
class BuildSettings:
    """What a catalogue was asked to hold; no locale or split stands for all of them."""

    stemming: str
    indexed: tuple[str, ...]
    locales: tuple[str, ...]
    split: str


@checked
class Dropped:
    """Rows that were left out, and why."""

    reason: str
    rows: int


@checked
class Source:
    """A file that a catalogue was made of, by its name without the folder."""

    file: str
    holds: str
    sha256: str
    bytes: int
    rows: int
    kept: int
    dropped: tuple[Dropped, ...]


@checked
class Counts:
    """What a catalogue holds, and how many rows had the words of an earlier one."""

    products: int
    duplicates: int
    queries: int
    judgements: int


@checked
class Excluded:
    """An evaluation file, and how many distinct products and queries were left out because they occur in it."""

    file: str
    sha256: str
    products: int
    queries: int


@checked
class FileEntry:
    """A file of the folder, by its name below it."""

    name: str
    bytes: int
    crc32: int
    sha256: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the file name {self.name!r} is none of a catalogue")


@checked
class Manifest:
    """All that is known of a catalogue; `folding` is a digest of how its words were made."""

    format: int
    created: str
    versions: Versions
    settings: BuildSettings
    folding: str
    sources: tuple[Source, ...]
    counts: Counts
    excluded: tuple[Excluded, ...]
    files: tuple[FileEntry, ...]

    def leaves_out(self, sha256: str) -> bool:
        """Tell whether rows of the evaluation file with this SHA-256 were kept out of the catalogue."""
        return any(each.sha256 == sha256 for each in self.excluded)


def folding(stemming: str) -> str:
    """Return a digest of the words that a text is made into: another one means that old words are not found."""
    return hashlib.sha256("\n".join(words(_PROBE, stemming)).encode()).hexdigest()[:16]


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> Versions:
    """Return the versions of the programs at work."""
    project = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]
    return Versions(project["version"], platform.python_version(), version("tantivy"))


def file_entries(folder: Path) -> tuple[FileEntry, ...]:
    """Describe every file of both indexes in `folder`, lock files left out."""
    paths = sorted(path for part in (PRODUCTS, QUERIES) for path in (folder / part).iterdir() if path.suffix != ".lock")
    return tuple(
        FileEntry(path.relative_to(folder).as_posix(), path.stat().st_size, crc32(path), sha256(path)) for path in paths
    )


def crc32(path: Path) -> int:
    """Return the CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            value = zlib.crc32(piece, value)
    return value


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest with a checksum of itself."""
    content = json.loads(json.dumps(asdict(manifest)))
    write_json(folder / MANIFEST, {**content, "checksum": _checksum(content)})


def read_manifest(folder: Path) -> Manifest:
    """Read a catalogue's manifest.

    Raises:
        UserError: there is no catalogue, or one that is half-built, damaged or of another version.
    """
    content = _content(folder)
    checksum = content.pop("checksum", None)
    if checksum != _checksum(content):
        raise UserError(f"{folder / MANIFEST} is damaged: {REBUILD}")
    if content.get("format") != FORMAT:
        raise UserError(f"{folder} has format {content.get('format')!r}, and this version reads {FORMAT}: {REBUILD}")
    manifest = build(Manifest, content, f"{folder / MANIFEST}: ", "field")
    if manifest.folding != folding(manifest.settings.stemming):
        raise UserError(f"{folder} was made by a version that splits words in another way: {REBUILD}")
    return manifest


def _content(folder: Path) -> dict[str, object]:
    path = folder / MANIFEST
    try:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder with a catalogue: {_unfinished(folder)}")
        if not path.is_file():
            raise UserError(f"{folder} has no {MANIFEST}, so it is no finished catalogue: {REBUILD}")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read ({_cause(error)}): name a folder that can be read, or {REBUILD}"
        ) from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: {REBUILD}")
    return content


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _unfinished(folder: Path) -> str:
    partial = folder.with_name(f"{folder.name}.partial")
    return f"a build of it has not ended, or was stopped; {REBUILD}" if partial.exists() else REBUILD


def check_files(folder: Path, manifest: Manifest, *, thorough: bool = False) -> None:
    """Compare size and CRC-32 of every file with the manifest, and the SHA-256 as well when `thorough`.

    Raises:
        UserError: a file is missing or differs.
    """
    for entry in manifest.files:
        path = folder / entry.name
        try:
            _check_file(path, entry, thorough=thorough)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({_cause(error)}): {REBUILD}") from None
    _check_complete(folder, {entry.name for entry in manifest.files})


def _check_file(path: Path, entry: FileEntry, *, thorough: bool) -> None:
    size = path.stat().st_size
    if size != entry.bytes:
        raise UserError(f"{path} has {size} bytes instead of {entry.bytes}: {REBUILD}")
    if crc32(path) != entry.crc32 or (thorough and sha256(path) != entry.sha256):
        raise UserError(f"{path} is damaged, its checksum is wrong: {REBUILD}")


def _check_complete(folder: Path, names: Iterable[str]) -> None:
    for part in (PRODUCTS, QUERIES):
        if f"{part}/meta.json" not in names:
            raise UserError(f"{folder / MANIFEST} names no {part}/meta.json, so it is damaged: {REBUILD}")


def _checksum(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
