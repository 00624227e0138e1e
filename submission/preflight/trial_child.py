"""The evaluator's loop in a process of its own: load the UserModel, answer a few questions, write down the seconds.

It is run as a file in the root of the repository that is tried, and imports nothing else of this package.
"""

import fcntl
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MAX_BATCH_SIZE = 16
_SIOCSIFFLAGS = 0x8914
_IFF_UP_AND_RUNNING = 0x41


def raise_loopback() -> None:
    """Start the loopback interface, which is down in a network namespace of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP_AND_RUNNING))


class Report:
    """Events of the trial, a JSON object a line, so that the parent knows what a hanging process was doing."""

    def __init__(self, path: str) -> None:
        self._path = path

    def add(self, event: str, **facts: object) -> None:
        """Append one event."""
        with Path(self._path).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **facts}) + "\n")


def run(questions: Sequence[Mapping[str, Any]], report: Report) -> None:
    """Answer `questions`, grouped as the evaluator groups them."""
    started = time.perf_counter()
    from models.user_config import UserModel

    model = UserModel()
    report.add("loaded", seconds=time.perf_counter() - started)
    for is_multiple_choice in (True, False):
        group = [each["input_field"] for each in questions if each["is_multiple_choice"] == is_multiple_choice]
        while group:
            size = _batch_size(model.get_batch_size())
            batch, group = group[:size], group[size:]
            _answer(model, batch, is_multiple_choice, report)
    report.add("done", fallbacks=dict(getattr(model, "fallbacks", {})))


def _batch_size(size: object) -> int:
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_BATCH_SIZE:
        raise ValueError(f"get_batch_size() returned {size!r}, not an int from 1 to {MAX_BATCH_SIZE}")
    return size


def _answer(model: Any, batch: list[str], is_multiple_choice: bool, report: Report) -> None:
    report.add("asked", questions=len(batch))
    started = time.perf_counter()
    answers = model.batch_predict({"prompt": list(batch)}, is_multiple_choice)
    report.add("answered", questions=len(batch), seconds=time.perf_counter() - started)
    if not isinstance(answers, list) or len(answers) != len(batch):
        raise TypeError(
            f"batch_predict() returned {_described(answers)} for {len(batch)} prompts, not a list of as many"
        )
    wrong = next((answer for answer in answers if not isinstance(answer, str)), None)
    if wrong is not None or None in answers:
        raise TypeError(f"batch_predict() returned {wrong!r} among its answers, not a string")


def _described(answers: object) -> str:
    return f"{len(answers)} answers" if isinstance(answers, list) else f"a {type(answers).__name__}"


def main() -> None:
    """Read the questions from standard input; the argument is the file for the report."""
    sys.path[0] = str(Path.cwd())
    report = Report(sys.argv[1])
    if "PREFLIGHT_NAMESPACE" in os.environ:
        raise_loopback()
    try:
        run(json.load(sys.stdin), report)
    # A model that calls sys.exit() ends the evaluator's process as well; the error goes on when it is written down.
    except BaseException as error:
        report.add("raised", error=f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise


if __name__ == "__main__":
    main()
