"""Supervision of an engine in another process: a process that hangs is killed, one that died is started again."""

import contextlib
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from models.engines.interface import (
    NO_LIMIT,
    OUT_OF_MEMORY,
    Answer,
    Engine,
    EngineError,
    GoneEngineError,
    LostEngineError,
    StartingEngineError,
    Usage,
)
from models.engines.process.wire import Json, answer_from_json, fields_from_json, prompt_to_json, receive, send
from models.engines.registry import WITHOUT_WEIGHTS, check_engine, create_engine
from models.engines.settings import EngineSettings
from prompts.prompt import Prompt
from utilities.errors import UserError
from utilities.files import ROOT

WORKER = (sys.executable, "-m", "models.engines.process.worker")
_MOST_LOSSES_IN_A_ROW = 5
_MOST_FAILURES_IN_A_ROW = 4
_BROKEN = ("CUDA error", "AcceleratorError")
"""Parts of errors after which a process answers nothing any more; a lack of memory leaves it usable."""
_LONGEST_PAUSE = 60.0
"""Seconds to wait before restarting a process that died while starting: the GPU's memory may not be free yet."""
_KEPT_FOR_THE_REPLY = 0.1  # share of the timeout: answers that the engine cuts short still have to come back
_SECONDS_A_MESSAGE = 2  # seconds to read or write one message; within a message neither side waits for the other
_SECONDS_TO_END = 0.3  # the evaluator's clock runs while a process is waited for
_LOG = logging.getLogger("shopalign")


class WorkerGoneError(Exception):
    """The process died or does not keep to the protocol."""


class WorkerProcess:
    """A process in its own session, so that its children are killed with it."""

    def __init__(self, command: Sequence[str], greeting: Json) -> None:
        """Start `command` with the number of its pipe as last argument, and send it `greeting`."""
        self._link, theirs = Pipe()
        _limit_message_time(self._link)
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=ROOT,
            )
        self.started = time.monotonic()
        self.tell(greeting)

    @property
    def pid(self) -> int:
        """The process id, which is also that of its session."""
        return self._process.pid

    def tell(self, message: Json) -> None:
        """Send one message.

        Raises:
            WorkerGoneError: it cannot be delivered.
        """
        try:
            send(self._link, message)
        except OSError as error:
            raise WorkerGoneError(str(error)) from error

    def hear(self, seconds: float) -> Json | None:
        """Return the next message; None if no message arrives within `seconds`.

        Raises:
            WorkerGoneError: the process has ended, or its message is invalid.
        """
        try:
            # A poll of many years is an error on some systems.
            return receive(self._link) if self._link.poll(min(max(seconds, 0.0), 1e6)) else None
        except (EOFError, OSError, ValueError) as error:
            raise WorkerGoneError(self._ending() or f"{type(error).__name__}: {error}") from error

    def kill(self) -> None:
        """End the process and its children; do nothing if it has already ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._link.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            _LOG.warning("process %d has not ended yet", self.pid)

    def _ending(self) -> str:
        """Return how the process ended; wait briefly, because it has already closed its pipe."""
        try:
            code = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return ""
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _limit_message_time(link: Connection) -> None:
    """Set a timeout for reads and writes of one message, because a stopped process reads nothing."""
    limit = struct.pack("@ll", _SECONDS_A_MESSAGE, 0)
    with socket.socket(fileno=os.dup(link.fileno())) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


class SupervisedEngine:
    """Hands prompts to an engine in another process, with a timeout for the answers."""

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
                f"the engine's process is not ready ({error}): its output above has the cause; "
                "a killed process most likely ran out of memory"
            ) from error

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> Sequence[Answer | None]:
        """Answer every prompt within `seconds`; None replaces a returned value that is no answer.

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
        """Return the totals that the processes reported last."""
        return self._usage

    def describe(self) -> Mapping[str, object]:
        """Return the description that the engine gave when it was ready."""
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
            raise self._lost("engine died while starting", str(error), self._next_pause()) from error
        if message is None:
            raise StartingEngineError(f"not ready after {time.monotonic() - self._worker.started:.0f} s")
        if "user_error" in message and self._described:
            # The same settings have worked before, so this cause may pass, as memory that is not free yet does.
            raise self._lost("engine died while starting", str(message["user_error"]), self._next_pause())
        if "user_error" in message:
            self.close()
            raise UserError(str(message["user_error"]))
        self._ready, self._described = True, dict(message["ready"])
        self._note_usage(message)

    def _next_pause(self) -> float:
        return min(2.0**self._losses, _LONGEST_PAUSE)

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
            raise StartingEngineError("not started again yet, because it died while starting")
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
        """Return the error to raise; a process that no longer answers is replaced."""
        self._failures += not any(word in detail for word in OUT_OF_MEMORY)
        if self._failures < _MOST_FAILURES_IN_A_ROW and not any(word in detail for word in _BROKEN):
            return EngineError(detail)
        return self._lost("engine broken", detail)

    def _lost(self, event: str, detail: str, pause: float = 0.0) -> LostEngineError:
        """Replace the process, at once or after `pause` seconds, without waiting for the new one."""
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


def start_engine(settings: EngineSettings) -> Engine:
    """Make the engine that the settings name in a separate process, where it can hang or die without harm.

    Raises:
        UserError: there is no such engine, its weights are missing, or it does not start.
    """
    check_engine(settings)
    return create_engine(settings) if settings.name in WITHOUT_WEIGHTS else SupervisedEngine(settings)
