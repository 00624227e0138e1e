"""An engine process with an injected fault, started by `benchmarks.faults` and by tests.

    python -m benchmarks.faulty_worker FAULT NUMBER FD

FAULT is one of `FAULTS`. NUMBER is the call of the engine at which it strikes, or the largest batch that it spares. FD
is the socket to the package. Every new process counts its calls from 1.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from models.engines.interface import NO_LIMIT, Answer, Engine, Usage
from models.engines.process.worker import main
from models.engines.registry import create_engine
from models.engines.settings import EngineSettings
from prompts.prompt import Prompt

POISON = "poison"
"""The word that marks a question for the fault `poison`."""
_FOREVER = 1e6
_WARM_UP_CALLS = 2
_SLOWER = 10.0

Answers = Sequence[Answer | None]


@dataclass(frozen=True)
class Call:
    """A call of the engine: its number from 1, the NUMBER of the command line, and a way to get sound answers."""

    index: int
    number: int
    prompts: Sequence[Prompt]
    ask: Callable[[], Answers]


Fault = Callable[[Call], Answers]


class FaultyEngine:
    """Wraps a sound engine and injects a fault into its calls, except the warm-up."""

    def __init__(self, engine: Engine, fault: Fault, number: int) -> None:
        self._engine, self._fault, self._number = engine, fault, number
        self._calls = -_WARM_UP_CALLS

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> Answers:
        """Answer, or fail."""
        self._calls += 1

        def ask() -> Answers:
            return self._engine.answer(prompts, ways, seconds)

        return ask() if self._calls < 1 else self._fault(Call(self._calls, self._number, prompts, ask))

    def usage(self) -> Usage:
        """Return the sound engine's totals."""
        return self._engine.usage()

    def describe(self) -> Mapping[str, object]:
        """Describe the sound engine."""
        return self._engine.describe()


def _none(call: Call) -> Answers:
    return call.ask()


def _hang(call: Call) -> Answers:
    if call.index == call.number:
        time.sleep(_FOREVER)
    return call.ask()


def _stop(call: Call) -> Answers:
    """Stop the whole process, as if it waited for a driver."""
    if call.index == call.number:
        os.kill(os.getpid(), signal.SIGSTOP)
    return call.ask()


def _poison(call: Call) -> Answers:
    if any(POISON in prompt.user for prompt in call.prompts):
        time.sleep(_FOREVER)
    return call.ask()


def _memory(call: Call) -> Answers:
    if len(call.prompts) > call.number:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
    return call.ask()


def _crash(call: Call) -> Answers:
    if call.index == call.number:
        os.kill(os.getpid(), signal.SIGKILL)
    return call.ask()


def _garbage(call: Call) -> Answers:
    """Return, in turns, texts outside the answer space, a number, a score that is NaN, and too few answers."""
    if call.index < call.number:
        return call.ask()
    count = len(call.prompts)
    kinds: tuple[Sequence[object], ...] = (
        [Answer("\n\n")] * count,
        [3.5] * count,
        [Answer("1", (float("nan"),))] * count,
        [Answer("0")] * (count - 1),
    )
    return cast(Answers, kinds[call.index % len(kinds)])


def _slow(call: Call) -> Answers:
    """Take ten times as long from the call on."""
    started = time.monotonic()
    answers = call.ask()
    if call.index >= call.number:
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
