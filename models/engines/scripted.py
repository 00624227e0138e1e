"""An engine without a model: answers come from a function, for tests and for looking at prompts."""

from collections.abc import Callable, Mapping, Sequence

from models.engines.interface import Answer
from prompts.prompt import Prompt


def _fallback(prompt: Prompt) -> Answer:
    return Answer(prompt.fallback)


class ScriptedEngine:
    """Answers each prompt by `script`, by default with what is known without a model, and keeps the prompts it saw."""

    def __init__(self, script: Callable[[Prompt], Answer] = _fallback) -> None:
        self._script = script
        self.seen: list[Prompt] = []

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Answer every prompt by the script."""
        self.seen.extend(prompts)
        return [self._script(prompt) for prompt in prompts]

    def describe(self) -> Mapping[str, object]:
        """Name the engine; it has no weights."""
        return {"engine": "scripted"}
