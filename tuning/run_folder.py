"""The folder of a long run: held by one process, gone on with only for the same inputs, put in place when finished."""

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tuning.processes import is_main
from utilities.errors import UserError, tells_full_disk
from utilities.files import write_json

_BEGUN = "begun.json"


class RunFolder:
    """`work` lies beside `output` until the run is finished."""

    def __init__(self, output: Path) -> None:
        """Name the folders.

        Raises:
            UserError: the output exists.
        """
        if output.exists():
            raise UserError(f"--output {output} exists: move it away or name another folder")
        self.output = output
        self.work = output.with_name(f"{output.name}.partial")
        self.metrics = self.work / "metrics.jsonl"

    @contextmanager
    def held(self, record: Mapping[str, Any]) -> Iterator[None]:
        """Hold the folder; `record` is all that the result depends on. Of several processes the main one does.

        Raises:
            UserError: another run holds it, it was begun with another record, or the disk cannot be written to.
        """
        try:
            with self._lock(record) if is_main() else nullcontext():
                yield
        except BlockingIOError:
            raise UserError(f"{self.work}: another run is at work there: wait for it") from None
        except UserError:
            if is_main() and self.checkpoint() is None:
                shutil.rmtree(self.work, ignore_errors=True)
            raise
        except OSError as error:
            where = error.filename or self.work
            raise UserError(f"{where}: {error.strerror or error}: make room or name another --output") from error
        except (RuntimeError, SafetensorError) as error:
            if not tells_full_disk(error):
                raise
            raise UserError(f"{self.work}: the disk is full: make room, and the same command goes on") from error

    @contextmanager
    def _lock(self, record: Mapping[str, Any]) -> Iterator[None]:
        self.work.mkdir(parents=True, exist_ok=True)
        with (self.work / "lock").open("a") as lock:
            # The kernel drops the lock with its process, so a killed run never blocks the next one.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._begin(record)
            yield

    def checkpoint(self) -> str | None:
        """Return the newest finished checkpoint."""
        found = sorted(self.work.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        whole = [path for path in found if (path / "trainer_state.json").is_file()]
        return str(whole[-1]) if whole else None

    def finish(self, write: Callable[[Path], None]) -> None:
        """Have the result written and put it in place in one step."""
        finished = self.work / "finished"
        shutil.rmtree(finished, ignore_errors=True)
        finished.mkdir()
        write(finished)
        finished.rename(self.output)
        shutil.rmtree(self.work, ignore_errors=True)

    def _begin(self, record: Mapping[str, Any]) -> None:
        path = self.work / _BEGUN
        if path.is_file() and self.checkpoint() is not None:
            begun = json.loads(path.read_text(encoding="utf-8"))
            differing = [name for name in record if begun.get(name) != record[name]]
            if differing:
                raise UserError(
                    f"{self.work} was begun with another {' and '.join(differing)}: "
                    "give what was given then, or remove it"
                )
        write_json(path, record)
