"""Answer spaces: the answers that a prompt allows, as plain data. An engine returns members of the space only."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.bm25 import best_first


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
