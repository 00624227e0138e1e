"""Plans a batch: the efforts for a prompt, their predicted seconds, and the choice that fits into the given time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.engines.interface import Usage
from models.engines.settings import COPY, DECODE, LABEL, PMI, SPANS, TEXT, WRITE, EngineSettings, way_of
from models.scheduling.clock import ClockSettings
from prompts.orders import reorderings
from prompts.prompt import AnswerSpace, Choice, Prompt, Selection, Spans, Text

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
    return (Effort("orders", asked, LABEL, together([work_of(each, LABEL) for each in asked])),)


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


def together(works: Sequence[Work]) -> Work:
    """Return the work of prompts in one batch: all characters are read, texts are written in parallel."""
    return Work(sum(work.characters for work in works), max((work.steps for work in works), default=0))


_KEPT = 0.5
"""The factor by which each new measurement decays older ones; small, so that a slowdown counts at once."""
_ASSUMED_TOKENS_PER_CHARACTER = 0.3
_ASSUMED_SECONDS_PER_TOKEN = 1e-3
_ASSUMED_SECONDS_PER_STEP = 5e-2
_OVERHEAD = 5e-3
_LEAST_SECONDS = 1e-6


@dataclass
class _Ratio:
    """A quotient of two exponentially decaying sums."""

    above: float = 0.0
    below: float = 0.0

    def add(self, above: float, below: float) -> None:
        if below > 0:
            self.above = _KEPT * self.above + above
            self.below = _KEPT * self.below + below

    def value(self, otherwise: float) -> float:
        return self.above / self.below if self.below > 0 else otherwise


class Speed:
    """The prefill and decode speed of an engine, updated by each batch."""

    def __init__(self, usage: Usage) -> None:
        """Start with the engine's measurements from before the first batch."""
        self._seen = replace(usage)
        self._density = _Ratio()
        self._prefill = _Ratio()
        self._decode = _Ratio()
        self._log_slip = 0.0
        self._seen_at_work = False
        self._add(usage, Usage())

    @property
    def measured(self) -> bool:
        """Whether the engine's speed is known: it reported a prefill, or it has answered a batch."""
        return self._prefill.below > 0 or self._seen_at_work

    @property
    def prefill_tokens_per_second(self) -> float:
        """Tokens read in a second."""
        return 1.0 / self._prefill.value(_ASSUMED_SECONDS_PER_TOKEN)

    @property
    def decode_steps_per_second(self) -> float:
        """Tokens written one after the other in a second; each row of a batch writes as many."""
        return 1.0 / self._decode.value(_ASSUMED_SECONDS_PER_STEP)

    def to_json(self) -> dict[str, float]:
        """Return both speeds."""
        return {
            "prefill_tokens_per_second": self.prefill_tokens_per_second,
            "decode_steps_per_second": self.decode_steps_per_second,
        }

    def predict(self, work: Work) -> float:
        """Return the predicted seconds for `work`."""
        return self._explained(work) * math.exp(self._log_slip)

    def _explained(self, work: Work) -> float:
        """Return the seconds for prefill and decoding without the correction by the slip."""
        tokens = work.characters * self._density.value(_ASSUMED_TOKENS_PER_CHARACTER)
        reading = tokens * self._prefill.value(_ASSUMED_SECONDS_PER_TOKEN)
        writing = work.steps * self._decode.value(_ASSUMED_SECONDS_PER_STEP)
        return reading + writing + _OVERHEAD

    def learn(self, work: Work, usage: Usage, seconds: float) -> None:
        """Update the speed: `work` took `seconds` and brought the engine's totals to `usage`.

        The slip, the ratio of actual to predicted seconds, is averaged as a logarithm, so that the effect of one
        hiccup fades after a few batches. The totals of a new process start at 0.
        """
        before = self._seen if usage.prefill_tokens >= self._seen.prefill_tokens else Usage()
        if usage.prefill_tokens > before.prefill_tokens:
            self._density.add(usage.prefill_tokens - before.prefill_tokens, work.characters)
        self._add(usage, before)
        self._seen = replace(usage)
        slip = max(seconds, _LEAST_SECONDS) / self._explained(work)
        kept = _KEPT if self._seen_at_work else 0.0
        self._log_slip = (1 - kept) * math.log(slip) + kept * self._log_slip
        self._seen_at_work = True

    def _add(self, usage: Usage, before: Usage) -> None:
        self._prefill.add(usage.prefill_seconds - before.prefill_seconds, usage.prefill_tokens - before.prefill_tokens)
        self._decode.add(usage.decode_seconds - before.decode_seconds, usage.decode_steps - before.decode_steps)


_SPARE_SHARE = 0.5
"""Spare work starts only if the whole batch is expected to end within this share of the time."""

Efforts = Sequence[Effort]
"""The efforts for one prompt, the most expensive first and evidence last."""


def plan(choices: Sequence[Efforts], speed: Speed, seconds: float) -> list[Effort]:
    """Choose an effort for each prompt, so that all are expected to end within `seconds`.

    All prompts start with their planned effort. While the batch takes too long, the prompt with the largest saving gets
    a cheaper effort; while there is spare time, the cheapest prompt gets a more expensive one.
    """
    places = [_planned(efforts) for efforts in choices]
    while _seconds(choices, places, speed) > seconds:
        savings = [_saving(*pair, speed) for pair in zip(choices, places, strict=True)]
        if not any(savings):
            break
        places[max(range(len(places)), key=savings.__getitem__)] += 1
    for index in sorted(range(len(choices)), key=lambda i: speed.predict(choices[i][0].work)):
        richer = [*places[:index], 0, *places[index + 1 :]]
        if places[index] == _planned(choices[index]) and _seconds(choices, richer, speed) <= _SPARE_SHARE * seconds:
            places = richer
    return [efforts[place] for efforts, place in zip(choices, places, strict=True)]


def _planned(efforts: Efforts) -> int:
    return next(place for place, effort in enumerate(efforts) if effort.name == "planned")


def _seconds(choices: Sequence[Efforts], places: Sequence[int], speed: Speed) -> float:
    asked = [choice[place].work for choice, place in zip(choices, places, strict=True) if choice[place] is not EVIDENCE]
    return speed.predict(together(asked)) if asked else 0.0


def _saving(efforts: Efforts, place: int, speed: Speed) -> float:
    if place + 1 >= len(efforts):
        return 0.0
    cheaper = efforts[place + 1]
    left = 0.0 if cheaper is EVIDENCE else speed.predict(cheaper.work)
    return max(speed.predict(efforts[place].work) - left, 1e-9)
