"""An engine without a model: answers come from a function, for tests and for looking at prompts."""

from collections.abc import Callable, Mapping, Sequence

from models.engines.interface import NO_LIMIT, Answer, Usage
from prompts.prompt import Prompt


def _fallback(prompt: Prompt) -> Answer:
    return Answer(prompt.fallback)


class ScriptedEngine:
    """Answers each prompt by `script`, by default with the prompt's fallback.

    `seen` records the prompts, `ways` their ways of answering, and `seconds` the timeout of each call.
    """

    def __init__(self, script: Callable[[Prompt], Answer] = _fallback) -> None:
        self._script = script
        self.seen: list[Prompt] = []
        self.ways: list[str] = []
        self.seconds: list[float] = []

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> list[Answer]:
        """Answer every prompt by the script; the ways are only recorded."""
        self.ways.extend(ways or ())
        self.seconds.append(seconds)
        self.seen.extend(prompts)
        return [self._script(prompt) for prompt in prompts]

    def usage(self) -> Usage:
        """Return that no token was read or written."""
        return Usage()

    def describe(self) -> Mapping[str, object]:
        """Name the engine; it has no weights."""
        return {"engine": "scripted"}
