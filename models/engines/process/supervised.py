"""An engine in another process, watched: one that hangs is killed, one that died is started anew."""

import logging
import sys
import time
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from models.engines.interface import (
    NO_LIMIT,
    Answer,
    EngineError,
    GoneEngineError,
    LostEngineError,
    StartingEngineError,
)
from models.engines.process.wire import Json, answer_from_json, fields_from_json, prompt_to_json
from models.engines.process.worker_process import WorkerGoneError, WorkerProcess
from models.engines.settings import EngineSettings
from models.engines.usage import Usage
from prompts.prompt import Prompt
from utilities.errors import UserError

WORKER = (sys.executable, "-m", "models.engines.process.worker")
_MOST_LOSSES_IN_A_ROW = 5
_MOST_FAILURES_IN_A_ROW = 4
_BROKEN, _OUT_OF_MEMORY = ("CUDA error", "AcceleratorError"), ("out of memory", "OutOfMemory", "MemoryError")
"""After the former a process answers nothing any more; the latter says nothing against it."""
_LONGEST_PAUSE = 60.0
"""Before a process is started again that died while starting: a GPU's memory may not be free yet."""
_KEPT_FOR_THE_REPLY = 0.1  # of the time given: what the engine cut short still has to come back
_LOG = logging.getLogger("shopalign")


class SupervisedEngine:
    """Hands prompts to an engine in another process and waits no longer for the answers than it was told."""

    def __init__(self, settings: EngineSettings, command: Sequence[str] = WORKER) -> None:
        """Start the engine and wait until it is ready.

        Raises:
            UserError: the engine cannot be made with these settings, or its process ends before it is ready.
        """
        self._command, self._greeting = tuple(command), {"settings": asdict(settings)}
        self.events: Counter[str] = Counter()
        self._usage, self._described = Usage(), dict[str, object]()
        self._losses = self._failures = 0
        self._pause_until = 0.0
        self._ready = False
        self._worker = self._started()
        try:
            self._await_ready(NO_LIMIT)
        except LostEngineError as error:
            self.close()
            raise UserError(
                f"the engine's process did not get ready ({error}): what it wrote before says why; "
                "one that was killed most likely ran out of memory"
            ) from error

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> Sequence[Answer | None]:
        """Answer every prompt within `seconds`; nothing stands for what the engine returned that is no answer.

        Raises:
            StartingEngineError: the engine is not ready within that time.
            LostEngineError: it hung or died with these prompts; it is started again in the background.
            GoneEngineError: it did not come back after several starts.
            EngineError: it could not answer these prompts.
        """
        until = time.monotonic() + seconds
        self._await_ready(seconds)
        left = max(until - time.monotonic(), 0.0)
        reply = self._asked(
            {
                "prompts": [prompt_to_json(prompt) for prompt in prompts],
                "ways": list(ways) if ways is not None else None,
                "seconds": left * (1 - _KEPT_FOR_THE_REPLY),
            },
            left,
        )
        if "error" in reply:
            raise self._failed(str(reply["error"]))
        self._losses = self._failures = 0
        answers = [answer_from_json(answer) for answer in reply["answers"]]
        if len(answers) != len(prompts):
            raise EngineError(f"{len(answers)} answers to {len(prompts)} prompts")
        return answers

    def usage(self) -> Usage:
        """Return what was read and written by the processes so far, as they last told."""
        return self._usage

    def describe(self) -> Mapping[str, object]:
        """Return what the engine told of itself when it was ready."""
        return self._described

    @property
    def pid(self) -> int:
        """The id of the engine's process."""
        return self._worker.pid

    def close(self) -> None:
        """End the engine's process."""
        self._end()

    def _started(self) -> WorkerProcess:
        worker = WorkerProcess(self._command, self._greeting)
        self._end = weakref.finalize(self, worker.kill)
        self._ready = False
        return worker

    def _await_ready(self, seconds: float) -> None:
        if self._ready:
            return
        if self._losses >= _MOST_LOSSES_IN_A_ROW:
            raise GoneEngineError(f"the engine was lost {self._losses} times in a row")
        seconds -= self._paused(seconds)
        try:
            message = self._worker.hear(seconds)
        except WorkerGoneError as error:
            pause = min(2.0**self._losses, _LONGEST_PAUSE)
            raise self._lost("engine died while starting", str(error), pause) from error
        if message is None:
            raise StartingEngineError(f"not ready after {time.monotonic() - self._worker.started:.0f} s")
        if "user_error" in message:
            self.close()
            raise UserError(str(message["user_error"]))
        self._ready, self._described = True, dict(message["ready"])
        self._note_usage(message)

    def _paused(self, seconds: float) -> float:
        """Wait for the end of a pause and start the process; return the seconds that it took.

        Raises:
            StartingEngineError: the pause does not end within `seconds`.
        """
        if not self._pause_until:
            return 0.0
        pause = max(self._pause_until - time.monotonic(), 0.0)
        time.sleep(min(pause, seconds))
        if pause > seconds:
            raise StartingEngineError("not started again yet, for it died while starting")
        self._pause_until = 0.0
        self._worker = self._started()
        return pause

    def _asked(self, request: Json, seconds: float) -> Json:
        until = time.monotonic() + seconds
        try:
            self._worker.tell(request)
            reply = self._worker.hear(until - time.monotonic())
        except WorkerGoneError as error:
            raise self._lost("engine died", str(error)) from error
        if reply is None:
            raise self._lost("engine hung", f"no answer within {seconds:.1f} s")
        self._note_usage(reply)
        return reply

    def _failed(self, detail: str) -> EngineError:
        """Return the error to raise; a process that seems to answer nothing any more is replaced."""
        self._failures += not any(word in detail for word in _OUT_OF_MEMORY)
        if self._failures < _MOST_FAILURES_IN_A_ROW and not any(word in detail for word in _BROKEN):
            return EngineError(detail)
        return self._lost("engine broken", detail)

    def _lost(self, event: str, detail: str, pause: float = 0.0) -> LostEngineError:
        """Replace the process without waiting for the new one, or once `pause` is over."""
        self.events[event] += 1
        _LOG.warning("%s (%s)", event, detail)
        self._losses += 1
        self._failures = 0
        self._ready = False
        self._end()
        if self._losses < _MOST_LOSSES_IN_A_ROW and self._described:
            self.events["engine restarted"] += 1
            if pause:
                self._pause_until = time.monotonic() + pause
            else:
                self._worker = self._started()
        return LostEngineError(f"{event}: {detail}")

    def _note_usage(self, message: Json) -> None:
        self._usage = fields_from_json(Usage, message["usage"])
