"""Makes output folders: each is renamed into place when it is finished, and a long run can be resumed.

The module imports no torch, so that a command can name a bad input at once.
"""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from utilities.errors import UserError, is_disk_full
from utilities.files import write_json
from utilities.json_files import read_object

_COPIED = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "LICENSE*",
    "NOTICE*",
)


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Yield an empty folder beside `output`, which becomes `output` on success and is removed on failure.

    Raises:
        UserError: the output exists, or the disk cannot be written to.
    """
    _check_new(output)
    work = output.with_name(f".{output.name}.partial")
    try:
        with disk_errors_reported(output):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            yield work
            work.rename(output)
    finally:
        shutil.rmtree(work, ignore_errors=True)


class RunFolder:
    """The work folder of a long run, `OUTPUT.partial`, which stays until the run is finished.

    `kept` says whether a work folder holds anything that a resumed run starts from.
    """

    def __init__(self, output: Path, kept: Callable[[Path], bool]) -> None:
        """Name the folders, or raise a `UserError` if the output exists."""
        _check_new(output)
        self.output = output
        self.work = output.with_name(f"{output.name}.partial")
        self._kept = kept

    @contextmanager
    def held(self, record: Mapping[str, Any]) -> Iterator[None]:
        """Lock the folder for this process; `record` is everything that the result depends on.

        Raises:
            UserError: another process holds the folder, or a run with another record is kept there.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        with (self.work / "lock").open("a") as lock:
            try:
                # The kernel drops the lock with its process, so a killed run never blocks the next one.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{self.work}: another run uses this folder: wait until it ends") from None
            try:
                self._begin(json.loads(json.dumps(record)))
                yield
            except UserError:
                if not self._kept(self.work):
                    shutil.rmtree(self.work, ignore_errors=True)
                raise

    def finish(self, write: Callable[[Path], None]) -> None:
        """Let `write` fill a folder, and rename it to the output."""
        finished = self.work / "finished"
        shutil.rmtree(finished, ignore_errors=True)
        finished.mkdir()
        write(finished)
        finished.rename(self.output)
        shutil.rmtree(self.work, ignore_errors=True)

    def _begin(self, record: Mapping[str, Any]) -> None:
        path = self.work / "begun.json"
        if path.is_file() and self._kept(self.work):
            begun = read_object(path, f"remove {self.work} and start over")
            differing = [name for name in record if begun.get(name) != record[name]]
            if differing:
                raise UserError(
                    f"{self.work} was started with another {' and '.join(differing)}: "
                    "repeat the command that started it, or remove the folder"
                )
        write_json(path, record)


def _check_new(output: Path) -> None:
    if output.exists():
        raise UserError(f"--output {output} exists: move it or name another folder")


@contextmanager
def disk_errors_reported(place: Path) -> Iterator[None]:
    """Turn errors of the disk into a `UserError`; `place` is named if the error names no file."""
    try:
        yield
    except OSError as error:
        where = error.filename or place
        raise UserError(f"{where}: {error.strerror or error}: make room or name another --output") from error
    except (RuntimeError, SafetensorError) as error:
        if not is_disk_full(error):
            raise
        raise UserError(f"{place}: the disk is full: make room, then give the same command again") from error


def copy_files(model: Path, folder: Path) -> None:
    """Copy the files of a model other than its weights: config, tokenizer, chat template, licence."""
    for pattern in _COPIED:
        for path in model.glob(pattern):
            shutil.copyfile(path, folder / path.name)
