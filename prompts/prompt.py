"""A prompt as plain data: the text for the model, the answers that it allows, and the evidence.

An answer space lists the allowed answers. An engine returns members of the space only.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from retrieval.knowledge import Scores
from retrieval.lexical import best_first
from utilities.errors import UserError


@dataclass(frozen=True)
class Choice:
    """One of `labels`, the option numbers that a question prints.

    `texts` are the texts of the options in the same order; empty where the question prints none.
    """

    labels: tuple[str, ...]
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_labels(self.labels, self.texts)


@dataclass(frozen=True)
class Selection:
    """`count` different `labels`, best first, separated by commas."""

    labels: tuple[str, ...]
    count: int
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_labels(self.labels, self.texts)
        if not 1 <= self.count <= len(self.labels):
            raise ValueError(f"count {self.count} is outside 1..{len(self.labels)}")


@dataclass(frozen=True)
class Spans:
    """One to `max_spans` different phrases of `source`, each of at most `max_words` words, separated by commas."""

    source: str
    max_spans: int
    max_words: int

    def __post_init__(self) -> None:
        if not self.source.strip():
            raise ValueError("a span needs a source with at least one word")
        if self.max_spans < 1 or self.max_words < 1:
            raise ValueError("max_spans and max_words must be at least 1")


@dataclass(frozen=True)
class Text:
    """Free text of at most `max_words` words without any of `stop`, holding every phrase of `keep`."""

    max_words: int
    stop: tuple[str, ...] = ("\n",)
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_words < 1:
            raise ValueError("max_words must be at least 1")
        if sum(len(phrase.split()) for phrase in self.keep) > self.max_words:
            raise ValueError("the phrases to keep do not fit into max_words")


AnswerSpace = Choice | Selection | Spans | Text


def _check_labels(labels: tuple[str, ...], texts: tuple[str, ...]) -> None:
    if not labels:
        raise ValueError("an answer space needs at least one label")
    if len(set(labels)) != len(labels):
        raise ValueError(f"labels repeat: {labels}")
    if texts and len(texts) != len(labels):
        raise ValueError(f"{len(labels)} labels but {len(texts)} texts")


def softmax(scores: Sequence[float]) -> list[float]:
    """Return exp(score) of each over their sum."""
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]


def best_labels(space: Choice | Selection, scores: Sequence[float]) -> str:
    """Return the label with the highest score, or the labels with the highest scores in order, separated by commas."""
    count = space.count if isinstance(space, Selection) else 1
    return ", ".join(space.labels[index] for index in best_first(scores)[:count])


_SEPARATOR = re.compile(r"\s*,\s*")


def admits(space: AnswerSpace, answer: str) -> bool:
    """Return whether `answer` is a member of `space`."""
    if isinstance(space, Choice):
        return answer in space.labels
    if isinstance(space, Selection):
        chosen = _SEPARATOR.split(answer)
        return len(chosen) == len(set(chosen)) == space.count and set(chosen) <= set(space.labels)
    if isinstance(space, Spans):
        return _are_spans(space, answer)
    return _is_text(space, answer)


def _are_spans(space: Spans, answer: str) -> bool:
    phrases = _SEPARATOR.split(answer)
    if len(phrases) > space.max_spans or len({phrase.lower() for phrase in phrases}) != len(phrases):
        return False
    return all(
        phrase.strip() and phrase in space.source and len(phrase.split()) <= space.max_words for phrase in phrases
    )


def _is_text(space: Text, answer: str) -> bool:
    if not answer.strip() or len(answer.split()) > space.max_words:
        return False
    return not any(stop in answer for stop in space.stop) and all(phrase in answer for phrase in space.keep)


ASSISTANT = "You are a helpful online shopping assistant. Answer the question and follow the given instructions."
PREVIOUS_KNOWLEDGE = "Based on your previous knowledge, generate the answer."


def variant(name: str, variants: Mapping[str, str], field: str) -> str:
    """Return the wording called `name`.

    Raises:
        UserError: there is no such variant; the message lists the known ones.
    """
    if name not in variants:
        raise UserError(f"prompts.{field} is {name!r}; choose one of: {', '.join(variants)}")
    return variants[name]


class Message(NamedTuple):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Prompt:
    """A question as a builder prepares it for an engine.

    Attributes:
        system: the role that the model is given. user: the question as the model reads it, with its options. space: the
        answers that are allowed. fallback: the answer that is returned if no model answers; a member of the space.
        bare: the question without its printed options, for scoring the texts of the options; empty if they are not
        scored. cue: the words that the answer follows, such as "Answer:". neutral_cue: a cue that asks for no
        particular phrase; it measures how likely a phrase is in any case. neutral_share: the share of that
        log-probability which is subtracted, 0 to 1. as_statement: whether `bare` and `cue` are plain text that the
        answer continues, not a turn of a chat. kind: the kind of question, one of `retrieval.knowledge.KINDS`, which
        selects the weights of its evidence. evidence: a source's name to its score for each label of the space, higher
        is better. model: the model that answers, a name of `models/engines/model_registry.yaml`; empty for the model of
        the settings. adapter: the folder of the LoRA adapter that answers; empty for none, None for the model's own
        adapter.
    """

    system: str
    user: str
    space: AnswerSpace
    fallback: str
    bare: str = ""
    cue: str = "Answer:"
    neutral_cue: str = ""
    neutral_share: float = 0.5
    as_statement: bool = False
    kind: str = ""
    evidence: Scores = field(default_factory=dict)
    model: str = ""
    adapter: str | None = None

    @property
    def messages(self) -> tuple[Message, ...]:
        """The chat with the whole question."""
        return (Message("system", self.system), Message("user", self.user))
