"""The seam between prompts and models: one small interface for every engine."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from models.engines.usage import Usage
from prompts.prompt import Prompt

NO_LIMIT = math.inf


class EngineError(RuntimeError):
    """An engine could not answer these prompts; it lives and may answer others."""


class LostEngineError(EngineError):
    """The engine hung or died with these prompts; it is started anew."""


class StartingEngineError(EngineError):
    """The engine is not ready yet; the prompts are not to blame."""


class GoneEngineError(EngineError):
    """The engine does not come back."""


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

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> Sequence[Answer | None]:
        """Answer every prompt, in order, from its own answer space.

        `ways` says for each prompt how (`models.engines.answering.ways`); without it the settings do. After `seconds`
        nobody waits for the answers: texts end there, and what cannot be cut short is given up.

        Raises:
            EngineError: the engine cannot answer these prompts.
        """
        ...

    def usage(self) -> Usage:
        """Return the running totals of what was read and written, and of the seconds that it took."""
        ...

    def describe(self) -> Mapping[str, object]:
        """Return name, weights and versions, for the record beside the scores."""
        ...
