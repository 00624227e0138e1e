"""Efforts: the ways to answer a prompt, from several orders of its candidates down to no model at all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.engines.answering.ways import COPY, DECODE, LABEL, PMI, SPANS, TEXT, WRITE, way_of
from models.engines.settings import EngineSettings
from models.scheduling.clock import ClockSettings
from prompts.answer_space import AnswerSpace, Choice, Selection, Spans, Text
from prompts.orders import reorderings
from prompts.prompt import Prompt

_SHORT_TEXT = 1 / 3
_TOKENS_PER_WORD = 2
_CUE_PASSES = 3  # the text itself, and each of its phrases behind two cues


@dataclass(frozen=True)
class Work:
    """The work of an engine: characters to read, and tokens to write one after the other."""

    characters: int = 0
    steps: int = 0


@dataclass(frozen=True)
class Effort:
    """One way to answer a prompt: the prompts to ask, the way of answering, and the work."""

    name: str
    prompts: tuple[Prompt, ...]
    way: str
    work: Work


EVIDENCE = Effort("evidence", (), "", Work())
"""No model: the prompt's fallback."""


def efforts(prompt: Prompt, engine: EngineSettings, clock: ClockSettings) -> tuple[Effort, ...]:
    """Return the efforts for a prompt, the most expensive first and evidence last; one of them is named `planned`."""
    way = way_of(prompt.space, engine)
    planned = Effort("planned", (prompt,), way, work_of(prompt, way))
    return (*_spare(prompt, way, clock), planned, *_cheaper(prompt, way), EVIDENCE)


def work_of(prompt: Prompt, way: str) -> Work:
    """Estimate the work of one prompt in one way of answering; measurements correct the scale of the estimate."""
    shown = len(prompt.system) + len(prompt.user)
    space = prompt.space
    if way in (TEXT, PMI):
        assert isinstance(space, Choice | Selection)
        passes = 2 if way == PMI else 1
        return Work(len(prompt.bare) + passes * sum(map(len, space.texts)))
    if way == SPANS:
        assert isinstance(space, Spans)
        return Work(len(prompt.bare) + _CUE_PASSES * len(space.source))
    return Work(shown, _steps(space, way))


def _steps(space: AnswerSpace, way: str) -> int:
    if way == COPY and isinstance(space, Spans):
        return _TOKENS_PER_WORD * space.max_spans * space.max_words
    if way == WRITE and isinstance(space, Text):
        return _TOKENS_PER_WORD * space.max_words
    if way == DECODE and isinstance(space, Choice | Selection):
        labels = space.count if isinstance(space, Selection) else 1
        return labels * (max(map(len, space.labels)) + 1)
    return 0


def _spare(prompt: Prompt, way: str, clock: ClockSettings) -> tuple[Effort, ...]:
    """Return the effort for spare time: it helps options that are chosen by their numbers, whose order matters."""
    if way != LABEL or clock.spare == "none":
        return ()
    if clock.spare == "decode":
        return (Effort("decode", (prompt,), DECODE, work_of(prompt, DECODE)),)
    others = reorderings(prompt, clock.orders - 1)
    if not others:
        return ()
    asked = (prompt, *others)
    return (Effort("orders", asked, LABEL, _sum([work_of(each, LABEL) for each in asked])),)


def _cheaper(prompt: Prompt, way: str) -> tuple[Effort, ...]:
    if way == WRITE and isinstance(prompt.space, Text):
        short = _shortened(prompt, prompt.space)
        return (Effort("short", (short,), WRITE, work_of(short, WRITE)),) if short else ()
    if way in (TEXT, PMI, DECODE):
        cheap = Effort("label", (prompt,), LABEL, work_of(prompt, LABEL))
        return (cheap,)
    return ()


def _shortened(prompt: Prompt, space: Text) -> Prompt | None:
    """Return the prompt with a third of its most words; None if kept phrases leave no room."""
    words = max(int(space.max_words * _SHORT_TEXT), 1)
    kept = sum(len(phrase.split()) for phrase in space.keep)
    if kept or words == space.max_words:
        return None
    return replace(prompt, space=replace(space, max_words=words))


def _sum(parts: Sequence[Work]) -> Work:
    return Work(sum(part.characters for part in parts), max((part.steps for part in parts), default=0))
