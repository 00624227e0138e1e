"""An engine's process that goes wrong on purpose, started by `benchmarks.faults` and by tests.

    python -m benchmarks.faulty_worker FAULT CALL FD

FAULT is one of `FAULTS`, CALL the call of the engine at which it strikes, or the largest batch that it spares, FD the
socket to the package. Every new process counts from its first call again.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from models.engines.interface import NO_LIMIT, Answer, Engine
from models.engines.process.worker import main
from models.engines.registry import create_engine
from models.engines.settings import EngineSettings
from models.engines.usage import Usage
from prompts.prompt import Prompt

POISON = "poison"
"""A question with this word is what some faults strike at."""
_FOREVER = 1e6
_WARM_UP_CALLS = 2
_SLOWER = 10.0

Ask = Callable[[], Sequence[Answer | None]]
Fault = Callable[[int, int, Sequence[Prompt], Ask], Sequence[Answer | None]]
"""Gets the number of the call, the number of the command line, the prompts, and how to answer them soundly."""


class FaultyEngine:
    """Another engine, with a fault between it and the package; warming up is spared."""

    def __init__(self, engine: Engine, fault: Fault, number: int) -> None:
        self._engine, self._fault, self._number = engine, fault, number
        self._calls = -_WARM_UP_CALLS

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> Sequence[Answer | None]:
        """Answer, or fail."""
        self._calls += 1

        def ask() -> Sequence[Answer | None]:
            return self._engine.answer(prompts, ways, seconds)

        return ask() if self._calls < 1 else self._fault(self._calls, self._number, prompts, ask)

    def usage(self) -> Usage:
        """Return the sound engine's totals."""
        return self._engine.usage()

    def describe(self) -> Mapping[str, object]:
        """Describe the sound engine."""
        return self._engine.describe()


def _none(call: int, number: int, prompts: Sequence[Prompt], ask: Ask) -> Sequence[Answer | None]:  # noqa: ARG001
    return ask()


def _hang(call: int, number: int, prompts: Sequence[Prompt], ask: Ask) -> Sequence[Answer | None]:  # noqa: ARG001
    if call == number:
        time.sleep(_FOREVER)
    return ask()


def _stop(call: int, number: int, prompts: Sequence[Prompt], ask: Ask) -> Sequence[Answer | None]:  # noqa: ARG001
    """Stand still without running any more code, as a process that waits for a driver does."""
    if call == number:
        os.kill(os.getpid(), signal.SIGSTOP)
    return ask()


def _poison(call: int, number: int, prompts: Sequence[Prompt], ask: Ask) -> Sequence[Answer | None]:  # noqa: ARG001
    if any(POISON in prompt.user for prompt in prompts):
        time.sleep(_FOREVER)
    return ask()


def _memory(call: int, number: int, prompts: Sequence[Prompt], ask: Ask) -> Sequence[Answer | None]:  # noqa: ARG001
    if len(prompts) > number:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
    return ask()


def _crash(call: int, number: int, prompts: Sequence[Prompt], ask: Ask) -> Sequence[Answer | None]:  # noqa: ARG001
    if call == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return ask()


def _garbage(call: int, number: int, prompts: Sequence[Prompt], ask: Ask) -> Sequence[Answer | None]:
    """Return texts outside the space, what is no answer at all, and too few answers, in turn from the call on."""
    if call < number:
        return ask()
    kinds: tuple[Sequence[object], ...] = (
        [Answer("\n\n")] * len(prompts),
        [3.5] * len(prompts),
        [Answer("1", (float("nan"),))] * len(prompts),
        [Answer("0")] * (len(prompts) - 1),
    )
    return cast(Sequence[Answer | None], kinds[call % len(kinds)])


def _slow(call: int, number: int, prompts: Sequence[Prompt], ask: Ask) -> Sequence[Answer | None]:  # noqa: ARG001
    """Take ten times as long from the call on."""
    started = time.monotonic()
    answers = ask()
    if call >= number:
        time.sleep((_SLOWER - 1) * (time.monotonic() - started))
    return answers


FAULTS: Mapping[str, Fault] = {
    "none": _none,
    "hang": _hang,
    "stop": _stop,
    "poison": _poison,
    "memory": _memory,
    "crash": _crash,
    "garbage": _garbage,
    "slow": _slow,
}


def command(fault: str, number: int) -> tuple[str, ...]:
    """Return the command that starts a process with this fault."""
    return (sys.executable, "-m", "benchmarks.faulty_worker", fault, str(number))


def _make(settings: EngineSettings) -> Engine:
    return FaultyEngine(create_engine(settings), FAULTS[sys.argv[1]], int(sys.argv[2]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[3:], _make))
