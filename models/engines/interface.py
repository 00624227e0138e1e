"""The interface of an engine: its answers, its errors, and its usage in tokens and seconds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from prompts.prompt import Prompt


@dataclass
class Usage:
    """Running totals of one engine.

    Attributes:
        prefill_tokens: tokens read, padding left out.
        prefill_seconds: seconds in which they were read.
        decode_steps: forward passes that wrote one token for every row of a batch.
        decode_tokens: tokens written.
        decode_seconds: seconds in which they were written.
        cut_texts: texts that a timeout ended before they were complete.
    """

    prefill_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_steps: int = 0
    decode_tokens: int = 0
    decode_seconds: float = 0.0
    cut_texts: int = 0

    def clear(self) -> None:
        """Set all totals to 0."""
        self.prefill_tokens = self.decode_steps = self.decode_tokens = self.cut_texts = 0
        self.prefill_seconds = self.decode_seconds = 0.0

    def prefilled(self, tokens: int, seconds: float) -> None:
        """Add a prefill."""
        self.prefill_tokens += tokens
        self.prefill_seconds += seconds

    def decoded(self, steps: int, tokens: int, seconds: float) -> None:
        """Add a batch that was decoded."""
        self.decode_steps += steps
        self.decode_tokens += tokens
        self.decode_seconds += seconds


NO_LIMIT = math.inf
OUT_OF_MEMORY = ("out of memory", "OutOfMemory", "MemoryError")
"""Parts of the errors of libraries that say that the device or the machine lacks memory."""


class EngineError(RuntimeError):
    """An engine could not answer these prompts; it lives and may answer others."""


class LostEngineError(EngineError):
    """The engine hung or died with these prompts; it is started again."""


class StartingEngineError(EngineError):
    """The engine is not ready yet; the prompts are not to blame."""


class GoneEngineError(EngineError):
    """The engine is lost and is not started again."""


@dataclass(frozen=True)
class Answer:
    """A member of a prompt's answer space, or an empty text where the model wrote nothing that lies in it.

    `scores` are the labels' scores in the order of the space (log-probabilities or differences of them, higher is
    better), empty for spans, for text and for answers that were decoded.
    """

    text: str
    scores: tuple[float, ...] = ()


class Engine(Protocol):
    """The protocol of an engine, which answers prompts."""

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> Sequence[Answer | None]:
        """Answer every prompt, in order, from its own answer space.

        `ways` names the way of answering for each prompt (`models.engines.settings.way_of`); without it the settings
        do. `seconds` is the timeout: texts end there, and scores that are not complete are given up.

        Raises:
            EngineError: the engine cannot answer these prompts.
        """
        ...

    def usage(self) -> Usage:
        """Return the running totals of tokens and seconds."""
        ...

    def describe(self) -> Mapping[str, object]:
        """Return name, weights and versions, for the record beside the scores."""
        ...
