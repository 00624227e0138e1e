"""Builds a catalogue in a temporary folder and moves it atomically to its destination."""

import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from retrieval.products.manifest import MANIFEST
from retrieval.products.search_engine import SearchError
from utilities.errors import UserError

_LOCK = "build.lock"
_ELSEWHERE = "choose another --output"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def workspace(destination: Path, *, force: bool) -> Iterator[Path]:
    """Yield a folder to build in, and move it to `destination` at the end; on failure it is removed.

    Raises:
        UserError: `destination` exists and must not be replaced, another build holds its lock, or the disk is full or
            cannot be written.
    """
    destination = _resolved(destination)
    partial = destination.with_name(f"{destination.name}.partial")
    old = destination.with_name(f"{destination.name}.replaced")
    with _disk_errors(destination):
        _check_names(partial, old)
        # Checked first, so that a refusal changes nothing, and again under the lock, where no other build interferes.
        _check_replaceable(destination, force=force)
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _locked(partial):
            try:
                _restore(destination, old)
                _check_replaceable(destination, force=force)
                _empty(partial)
                yield partial
                _synchronise(partial)
                _move_into_place(partial, destination, old)
            except BaseException:
                _remove(partial, _LOCK)
                raise


def _resolved(destination: Path) -> Path:
    try:
        resolved = destination.expanduser().resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"--output {destination} is not a valid path ({error}): {_ELSEWHERE}") from None
    if not resolved.name:
        raise UserError(f"--output {destination} cannot hold a catalogue: name a new folder")
    return resolved


def _check_names(partial: Path, old: Path) -> None:
    """Refuse to overwrite files and folders that have a build's temporary names but do not come from a build."""
    if _exists(partial) and (not _is_folder(partial) or (any(partial.iterdir()) and not _exists(partial / _LOCK))):
        raise UserError(f"{partial} was not made by a build, which needs that name: move it away, or {_ELSEWHERE}")
    if _exists(old) and not (_is_folder(old) and (old / MANIFEST).is_file()):
        raise UserError(f"{old} is not a catalogue, and a build needs that name: move it away, or {_ELSEWHERE}")


def _check_replaceable(destination: Path, *, force: bool) -> None:
    if not destination.exists() or _is_empty(destination):
        return
    if not (destination / MANIFEST).is_file():
        raise UserError(f"{destination} was not made by this command: move it away, or {_ELSEWHERE}")
    if not force:
        raise UserError(f"{destination} is there already: give --force to replace it, or {_ELSEWHERE}")


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


@contextmanager
def _disk_errors(destination: Path) -> Iterator[None]:
    """Turn errors of the disk into a `UserError`: it is full, or cannot be written."""
    try:
        yield
    except (OSError, SearchError, sqlite3.Error) as error:
        problem = " ".join(str(error).split())
        if getattr(error, "errno", None) in _FULL or "os error 28" in problem or "disk is full" in problem:
            problem = "its disk is full"
        elif "io::Error" in problem or "disk I/O error" in problem:
            # The engine and the database say no more if a write failed in another thread or below a lock.
            problem = "its disk is full, or fails"
        raise UserError(
            f"{destination} cannot be built ({problem}): make room and allow writing there, then build again"
        ) from error


@contextmanager
def _locked(partial: Path) -> Iterator[None]:
    """Hold the lock of the folder `partial`, which is made if it does not exist.

    The kernel releases the lock when its process ends, so the next build takes over the leftovers of a killed one. The
    lock file moves along with the finished folder, and is removed there: a lock file in `partial` is always valid.
    """
    partial.mkdir(exist_ok=True)
    with (partial / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            valid = os.fstat(lock.fileno()).st_ino == (partial / _LOCK).stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            valid = False
        if not valid:
            raise UserError(f"{partial} is being filled by another build: wait until it ends, or {_ELSEWHERE}")
        yield


def _restore(destination: Path, old: Path) -> None:
    """Undo a half-finished replacement, after an error or after a killed build."""
    if old.exists() and not destination.exists():
        old.rename(destination)


def _empty(folder: Path, keep: str = _LOCK) -> None:
    for path in folder.iterdir():
        if path.name != keep:
            shutil.rmtree(path) if _is_folder(path) else path.unlink()


def _remove(folder: Path, last: str) -> None:
    """Remove a folder as far as possible; `last` is the file that marks it as a build's."""
    with suppress(OSError):
        _empty(folder, last)
        (folder / last).unlink()
        folder.rmdir()


def _move_into_place(partial: Path, destination: Path, old: Path) -> None:
    _check_names(partial, old)
    if old.exists():
        _remove(old, MANIFEST)
    # Renaming replaces an empty folder.
    if destination.exists() and not _is_empty(destination):
        destination.rename(old)
    try:
        partial.rename(destination)
    except OSError:
        _restore(destination, old)
        raise
    (destination / _LOCK).unlink()
    _synchronise_path(destination.parent)
    if old.exists():
        _remove(old, MANIFEST)


def _synchronise(folder: Path) -> None:
    """Write every file and folder below `folder` to the disk, and let all users read them."""
    for path in sorted(folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        _synchronise_path(path)
    _synchronise_path(folder)


def _synchronise_path(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
