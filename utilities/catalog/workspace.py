"""The folder in which a catalogue is built, and its way into place: all of it at once, or nothing."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from utilities.catalog.engine import EngineError
from utilities.catalog.manifest import MANIFEST
from utilities.errors import UserError

_LOCK = "build.lock"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def workspace(destination: Path, *, force: bool) -> Iterator[Path]:
    """Yield a folder to build in; at the end it takes the place of `destination`, on failure it is removed.

    Raises:
        UserError: `destination` is there already and may not be replaced, another build is at work on it, or the disk
            is full or cannot be written.
    """
    destination = destination.expanduser().resolve()
    if not destination.name:
        raise UserError(f"--output {destination} is no place for a catalogue: name a folder to make")
    partial = destination.with_name(f"{destination.name}.partial")
    old = destination.with_name(f"{destination.name}.replaced")
    with _told(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _locked(partial) as lock:
            _restore(destination, old)
            _check_replaceable(destination, force=force)
            try:
                _empty(partial)
                yield partial
                _synchronise(partial)
                _put_in_place(partial, destination, old)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            finally:
                lock.close()


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
    if not old.exists():
        return
    if destination.exists():
        shutil.rmtree(old)
    else:
        old.rename(destination)


def _check_replaceable(destination: Path, *, force: bool) -> None:
    try:
        if not destination.exists() or (destination.is_dir() and not any(destination.iterdir())):
            return
        if not (destination / MANIFEST).is_file():
            raise UserError(f"{destination} was not made by this command: move it away, or choose another --output")
        if not force:
            raise UserError(f"{destination} is there already: give --force to replace it, or choose another --output")
    except UserError:
        shutil.rmtree(destination.with_name(f"{destination.name}.partial"), ignore_errors=True)
        raise


def _empty(partial: Path) -> None:
    for path in partial.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _put_in_place(partial: Path, destination: Path, old: Path) -> None:
    if destination.exists():
        destination.rename(old)
    try:
        partial.rename(destination)
    except OSError:
        _restore(destination, old)
        raise
    (destination / _LOCK).unlink()
    _synchronise_folder(destination.parent)
    with suppress(OSError):
        shutil.rmtree(old)


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
