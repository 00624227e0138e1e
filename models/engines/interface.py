"""The seam between prompts and models: one small interface for every engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.engines.usage import Usage
from prompts.prompt import Prompt


class EngineError(RuntimeError):
    """An engine could not answer; the caller falls back to what it knows without a model."""


@dataclass(frozen=True)
class Answer:
    """A member of a prompt's answer space, or an empty text where the model wrote nothing that lies in it.

    `scores` are the labels' scores in the order of the space (log-probabilities or differences of them, higher is
    better), empty for spans, for text and for answers that were decoded.
    """

    text: str
    scores: tuple[float, ...] = ()


class Engine(Protocol):
    """Anything that answers prompts."""

    def answer(self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None) -> list[Answer]:
        """Answer every prompt, in order, from its own answer space.

        `ways` says for each prompt how (`models.engines.ways`); without it the settings do.

        Raises:
            EngineError: the engine cannot answer these prompts.
        """
        ...

    def usage(self) -> Usage:
        """Return what was read and written so far, and the seconds that it took."""
        ...

    def describe(self) -> Mapping[str, object]:
        """Return name, weights and versions, for the record beside the scores."""
        ...
