"""One process with an engine in it: started, asked, waited for, killed."""

import contextlib
import logging
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from models.engines.process.wire import Json, receive, send
from utilities.files import ROOT

_LOG = logging.getLogger("shopalign")
_SECONDS_A_MESSAGE = 2  # within one message neither side has anything to wait for
_SECONDS_TO_END = 0.3  # the evaluator's clock runs while a process is waited for


class WorkerGoneError(Exception):
    """The process died or does not keep to the protocol."""


class WorkerProcess:
    """A process of its own session, so that whatever it starts is killed with it."""

    def __init__(self, command: Sequence[str], greeting: Json) -> None:
        """Start `command` with the number of its socket as last argument, and send it `greeting`."""
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
        """Return the next message, nothing when none comes within `seconds`.

        Raises:
            WorkerGoneError: none will come.
        """
        try:
            # A poll of many years is an error on some systems.
            return receive(self._link) if self._link.poll(min(max(seconds, 0.0), 1e6)) else None
        except (EOFError, OSError, ValueError) as error:
            raise WorkerGoneError(self._ending() or f"{type(error).__name__}: {error}") from error

    def kill(self) -> None:
        """End the process and all that it started; one that is gone already is fine."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._link.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            _LOG.warning("process %d takes its time to end", self.pid)

    def _ending(self) -> str:
        """Say how the process ended; it has closed its socket, so it is about to."""
        try:
            code = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return ""
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _limit_message_time(link: Connection) -> None:
    """Let no read or write of one message block for long: a stopped process reads nothing."""
    limit = struct.pack("@ll", _SECONDS_A_MESSAGE, 0)
    with socket.socket(fileno=os.dup(link.fileno())) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
