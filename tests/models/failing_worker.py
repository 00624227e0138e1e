"""`python -m tests.models.failing_worker ERROR FD`: an engine's process that raises ERROR for every marked question."""

import sys
from collections.abc import Mapping, Sequence

from benchmarks.faulty_worker import POISON
from models.engines.interface import NO_LIMIT, Answer, Usage
from models.engines.process.worker import main
from models.engines.scripted import ScriptedEngine
from models.engines.settings import EngineSettings
from prompts.prompt import Prompt


class FailingEngine:
    """Answers like the scripted engine, and raises an error of this name for a question that holds the word."""

    def __init__(self, error: str) -> None:
        self._engine = ScriptedEngine()
        self._error = type(error, (RuntimeError,), {})

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> Sequence[Answer | None]:
        if any(POISON in prompt.user for prompt in prompts):
            raise self._error("device-side assert")
        return self._engine.answer(prompts, ways, seconds)

    def usage(self) -> Usage:
        return self._engine.usage()

    def describe(self) -> Mapping[str, object]:
        return self._engine.describe()


def make(_: EngineSettings) -> FailingEngine:
    return FailingEngine(sys.argv[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], make))
