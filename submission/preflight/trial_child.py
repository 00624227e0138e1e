"""The evaluator's loop in a separate process: load the UserModel, answer a few questions, report the seconds.

It runs as a script in the root of the repository under check, and imports nothing else of this package.
"""

import fcntl
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

MAX_BATCH_SIZE = 16
_SIOCSIFFLAGS = 0x8914
_IFF_UP_AND_RUNNING = 0x41

# Appends an event to the report, so that the parent knows what a hanging process was doing.
Report = Callable[..., None]


def raise_loopback() -> None:
    """Start the loopback interface, which is down in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", _IFF_UP_AND_RUNNING))


def run(questions: Sequence[Mapping[str, Any]], report: Report) -> None:
    """Answer `questions` in batches like the evaluator's: multiple choice first, then the others."""
    started = time.perf_counter()
    from models.user_config import UserModel

    model = UserModel()
    report("loaded", seconds=time.perf_counter() - started)
    for is_multiple_choice in (True, False):
        group = [each["input_field"] for each in questions if each["is_multiple_choice"] == is_multiple_choice]
        while group:
            size = model.get_batch_size()
            if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_BATCH_SIZE:
                raise ValueError(f"get_batch_size() returned {size!r}, not an int from 1 to {MAX_BATCH_SIZE}")
            batch, group = group[:size], group[size:]
            _answer(model, batch, is_multiple_choice, report)
    report("done", fallbacks=dict(getattr(model, "fallbacks", {})))


def _answer(model: Any, batch: list[str], is_multiple_choice: bool, report: Report) -> None:
    report("asked", questions=len(batch))
    started = time.perf_counter()
    answers = model.batch_predict({"prompt": list(batch)}, is_multiple_choice)
    report("answered", questions=len(batch), seconds=time.perf_counter() - started)
    if not isinstance(answers, list) or len(answers) != len(batch):
        described = f"{len(answers)} answers" if isinstance(answers, list) else f"a {type(answers).__name__}"
        raise TypeError(f"batch_predict() returned {described} for {len(batch)} prompts, not a list of as many")
    for answer in answers:
        if not isinstance(answer, str):
            raise TypeError(f"batch_predict() returned {answer!r} among its answers, not a string")


def main() -> None:
    """Read the questions from standard input; the argument is the file of the report, a JSON object per line."""
    sys.path[0] = str(Path.cwd())
    path = Path(sys.argv[1])

    def report(event: str, **facts: object) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **facts}) + "\n")

    if "PREFLIGHT_NAMESPACE" in os.environ:
        raise_loopback()
    try:
        run(json.load(sys.stdin), report)
    # A model that calls sys.exit() ends the evaluator's process too, so the error is raised again.
    except BaseException as error:
        report("raised", error=f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise


if __name__ == "__main__":
    main()
