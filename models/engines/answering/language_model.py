"""The protocol of a language model, which the ways of answering use with every engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from models.engines.interface import Usage
from prompts.prompt import Choice, Selection, Text

ScoringRow = tuple[str | None, list[int], list[list[int]]]
"""The chat's system message, `None` where there is no chat; the prompt's tokens; the tokens of its continuations."""

LogProbabilities = list[list[list[float]]]
"""For each row, each of its continuations, each of the continuation's tokens."""


@dataclass(frozen=True)
class WritingRow:
    """A prompt's tokens, and the space of the answer that follows them with at most `limit` tokens."""

    system: str
    prompt: list[int]
    space: Choice | Selection | Text
    limit: int


class Coder(Protocol):
    """The protocol of a tokenizer: converts text to tokens.

    Attributes:
        tokenizer: a tokenizer of transformers, with the chat template that the prompts are rendered with.
        ends: the tokens that end an answer, the tokenizer's own first.
        pad: the padding token.
    """

    tokenizer: Any
    ends: list[int]
    pad: int

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text` without any special token around them."""
        ...

    def continuation(self, text: str) -> list[int]:
        """Return the tokens of `text` as they stand behind other text."""
        ...


class LanguageModel(Coder, Protocol):
    """Tokens in, log-probabilities and greedily written text out.

    Attributes:
        usage: the tokens read and written so far.
        deadline: the monotonic time of the timeout: texts end there, scores are given up.
    """

    usage: Usage
    deadline: float

    def score_rows(self, rows: Sequence[ScoringRow], budget: int) -> LogProbabilities:
        """Return the log-probability of every token of every continuation behind its prompt.

        `budget` is the maximum number of tokens in a padded batch; an engine without padding ignores it.

        Raises:
            EngineError: the deadline has passed.
        """
        ...

    def write_rows(self, rows: Sequence[WritingRow], budget: int) -> list[str]:
        """Write a member of its space behind every prompt, greedily and without special tokens.

        Labels belong to the space and have commas between them. Text has a first token that does not end it, and ends
        where it is complete. A text that the deadline cuts short is returned as far as it goes.
        """
        ...


class AdaptedModel(LanguageModel, Protocol):
    """A language model with adapters, one of them in use."""

    @property
    def adapter(self) -> str | None:
        """The name of the adapter in use, "" for none; None after a switch that failed."""
        ...

    def use(self, adapter: str) -> None:
        """Answer with the adapter of this name from now on.

        Raises:
            EngineError: it was not loaded.
        """
        ...
