"""The manifest of a catalogue: its sources, counts, versions and settings, and the checksums of its files."""

import hashlib
import json
import platform
import re
import tomllib
import zlib
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from retrieval.lexical import words
from utilities.errors import UserError
from utilities.files import ROOT, write_json
from utilities.fingerprint import sha256
from utilities.typed_yaml import build, checked

FORMAT = 1
"""The version of the folder's format; it increases when earlier folders become unreadable."""

MANIFEST = "catalog.json"
PRODUCTS = "products"
QUERIES = "queries"
REBUILD = "build it again with `python -m retrieval.products build`"

_NAME = re.compile(rf"(?:{PRODUCTS}|{QUERIES})/\.?\w[\w.-]*", re.ASCII)
_PIECE = 1 << 20
_PROBE = "12 x 57 g XT-30 2.5\" screws, children's batteries, Größe, años, chevaux, città, 電子レンジ 1½ in."


@checked
class Versions:
    """The versions of the programs that made a catalogue."""

    shopalign: str
    python: str
    tantivy: str


@checked
class BuildSettings:
    """The fields that a catalogue indexes and the rows that it takes; no locale or split means all of them."""

    stemming: str
    indexed: tuple[str, ...]
    locales: tuple[str, ...]
    split: str


@checked
class Dropped:
    """How many rows were left out for a reason."""

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
    """The number of a catalogue's products and queries, and of rows with the same words as an earlier row."""

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
    """A file of the folder, by its path within it."""

    name: str
    bytes: int
    crc32: int
    sha256: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the file name {self.name!r} is none of a catalogue")


@checked
class Manifest:
    """The description of a catalogue; `folding` is a digest of how its words were made."""

    format: int
    created: str
    versions: Versions
    settings: BuildSettings
    folding: str
    sources: tuple[Source, ...]
    counts: Counts
    excluded: tuple[Excluded, ...]
    files: tuple[FileEntry, ...]


def write_manifest(
    folder: Path,
    settings: BuildSettings,
    sources: tuple[Source, ...],
    counts: Counts,
    excluded: tuple[Excluded, ...],
) -> Manifest:
    """Describe the indexes in `folder` in a manifest with a checksum, and return it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    manifest = Manifest(
        format=FORMAT,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=Versions(project["version"], platform.python_version(), version("tantivy")),
        settings=settings,
        folding=_folding(settings.stemming),
        sources=sources,
        counts=counts,
        excluded=excluded,
        files=tuple(_entry(folder, path) for part in (PRODUCTS, QUERIES) for path in sorted((folder / part).iterdir())),
    )
    content = json.loads(json.dumps(asdict(manifest)))
    write_json(folder / MANIFEST, {**content, "checksum": checksum(content)})
    return manifest


def checksum(content: dict[str, object]) -> str:
    """Return the SHA-256 of a manifest's content as JSON has it."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read a catalogue's manifest.

    Raises:
        UserError: there is no catalogue, or one that is half-built, damaged or of another version.
    """
    path = folder / MANIFEST
    content = _content(folder, path)
    if content.pop("checksum", None) != checksum(content):
        raise UserError(f"{path} is damaged: {REBUILD}")
    if content.get("format") != FORMAT:
        raise UserError(f"{folder} has format {content.get('format')!r}, and this version reads {FORMAT}: {REBUILD}")
    manifest = build(Manifest, content, f"{path}: ", "field")
    if manifest.folding != _folding(manifest.settings.stemming):
        raise UserError(f"{folder} was made by a version that splits words in another way: {REBUILD}")
    return manifest


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
    for needed in (f"{PRODUCTS}/meta.json", f"{QUERIES}/meta.json"):
        if needed not in {entry.name for entry in manifest.files}:
            raise UserError(f"{folder / MANIFEST} names no {needed}, so it is damaged: {REBUILD}")


def _folding(stemming: str) -> str:
    """Return a digest of the words made of a sample text; with another digest, indexed words are not found."""
    return hashlib.sha256("\n".join(words(_PROBE, stemming)).encode()).hexdigest()[:16]


def _entry(folder: Path, path: Path) -> FileEntry:
    return FileEntry(path.relative_to(folder).as_posix(), path.stat().st_size, _crc32(path), sha256(path))


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            value = zlib.crc32(piece, value)
    return value


def _content(folder: Path, path: Path) -> dict[str, object]:
    try:
        if not folder.is_dir():
            stopped = folder.with_name(f"{folder.name}.partial").exists()
            problem = "a build of it has not ended, or was stopped; " if stopped else ""
            raise UserError(f"{folder} is not a folder with a catalogue: {problem}{REBUILD}")
        if not path.is_file():
            raise UserError(f"{folder} has no {MANIFEST}, so it is not a finished catalogue: {REBUILD}")
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


def _check_file(path: Path, entry: FileEntry, *, thorough: bool) -> None:
    size = path.stat().st_size
    if size != entry.bytes:
        raise UserError(f"{path} has {size} bytes instead of {entry.bytes}: {REBUILD}")
    if _crc32(path) != entry.crc32 or (thorough and sha256(path) != entry.sha256):
        raise UserError(f"{path} is damaged, its checksum is wrong: {REBUILD}")
