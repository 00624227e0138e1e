"""The folder in which a catalogue is built, and its way into place: all of it at once, or nothing."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from retrieval.products.manifest import MANIFEST
from retrieval.products.search_engine import EngineError
from utilities.errors import UserError

_LOCK = "build.lock"
_ELSEWHERE = "choose another --output"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def workspace(destination: Path, *, force: bool) -> Iterator[Path]:
    """Yield a folder to build in; at the end it takes the place of `destination`, on failure it is removed.

    Raises:
        UserError: `destination` is there already and may not be replaced, another build is at work on it, or the disk
            is full or cannot be written.
    """
    destination = _resolved(destination)
    if not destination.name:
        raise UserError(f"--output {destination} is no place for a catalogue: name a folder to make")
    partial = destination.with_name(f"{destination.name}.partial")
    old = destination.with_name(f"{destination.name}.replaced")
    with _told(destination):
        _check_own(partial, old)
        before = _names(partial)
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _locked(partial) as lock:
            try:
                _restore(destination, old)
                _check_replaceable(destination, force=force)
            except BaseException:
                _withdraw(partial, before)
                raise
            try:
                _empty(partial)
                yield partial
                _synchronise(partial)
                _put_in_place(partial, destination, old)
            except BaseException:
                _remove(partial, _LOCK)
                raise
            finally:
                lock.close()


def _resolved(destination: Path) -> Path:
    try:
        return destination.expanduser().resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"--output {destination} is no path ({error}): choose another --output") from None


def _check_own(partial: Path, old: Path) -> None:
    """Refuse to touch what bears the names that a build uses, and is not a build's."""
    if _is_there(partial) and (_is_no_folder(partial) or not (_names(partial) or [_LOCK]).count(_LOCK)):
        raise UserError(f"{partial} was not made by a build, which needs that name: move it away, or {_ELSEWHERE}")
    if _is_there(old) and (_is_no_folder(old) or not (old / MANIFEST).is_file()):
        raise UserError(f"{old} is no catalogue, and a build needs that name: move it away, or {_ELSEWHERE}")


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _is_no_folder(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()


def _names(folder: Path) -> list[str] | None:
    """Return the names in a folder, None if there is none."""
    return [path.name for path in folder.iterdir()] if folder.exists() else None


@contextmanager
def _told(destination: Path) -> Iterator[None]:
    """Say in one sentence that the disk is full, or cannot be written."""
    try:
        yield
    except (OSError, EngineError) as error:
        problem = _problem(error)
        raise UserError(
            f"{destination} cannot be built ({problem}): make room and allow writing there, then build again"
        ) from error


def _problem(error: OSError | EngineError) -> str:
    message = " ".join(str(error).split())
    if (isinstance(error, OSError) and error.errno in _FULL) or "os error 28" in message:
        return "its disk is full"
    # What the engine says when one of its threads could not write; the cause is lost by then.
    return "its disk is full, or fails" if "io::Error" in message else message


@contextmanager
def _locked(partial: Path) -> Iterator[IO[str]]:
    """Hold the lock of the folder `partial`, made if need be.

    The kernel drops the lock with its process, so what a killed build left is taken over by the next one. The lock file
    is moved along with the finished folder, and removed there: whoever finds `partial` finds the lock that counts.
    """
    partial.mkdir(exist_ok=True)
    lock = (partial / _LOCK).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        still_there = os.fstat(lock.fileno()).st_ino == (partial / _LOCK).stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        still_there = False
    if not still_there:
        lock.close()
        raise UserError(f"{partial} is being filled by another build: wait until it ends, or choose another --output")
    with lock:
        yield lock


def _restore(destination: Path, old: Path) -> None:
    """Undo the half of a replacement that failed, or that a killed build left behind."""
    if old.exists() and not destination.exists():
        old.rename(destination)


def _withdraw(partial: Path, before: list[str] | None) -> None:
    """Remove the lock file and the folder that it lies in, as far as they were not there before."""
    with suppress(OSError):
        if not before:
            (partial / _LOCK).unlink()
        if before is None:
            partial.rmdir()


def _remove(folder: Path, last: str) -> None:
    """Remove a folder as far as that can be done, `last` the file by which it is known for a build's."""
    with suppress(OSError):
        _empty(folder, last)
        (folder / last).unlink()
        folder.rmdir()


def _check_replaceable(destination: Path, *, force: bool) -> None:
    if not destination.exists() or (destination.is_dir() and not _names(destination)):
        return
    if not (destination / MANIFEST).is_file():
        raise UserError(f"{destination} was not made by this command: move it away, or {_ELSEWHERE}")
    if not force:
        raise UserError(f"{destination} is there already: give --force to replace it, or {_ELSEWHERE}")


def _empty(folder: Path, keep: str = _LOCK) -> None:
    for path in folder.iterdir():
        if path.name != keep:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _put_in_place(partial: Path, destination: Path, old: Path) -> None:
    _check_own(partial, old)
    if old.exists():
        _remove(old, MANIFEST)
    # The folder takes the place of an empty one by itself.
    if _names(destination):
        destination.rename(old)
    try:
        partial.rename(destination)
    except OSError:
        _restore(destination, old)
        raise
    (destination / _LOCK).unlink()
    _synchronise_folder(destination.parent)
    if old.exists():
        _remove(old, MANIFEST)


def _synchronise(folder: Path) -> None:
    """Have the disk hold every file and folder below `folder`; others than the builder may read them, too."""
    for path in sorted(folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        _synchronise_folder(path)
    _synchronise_folder(folder)


def _synchronise_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
