"""Plans a batch: chooses an effort for each prompt so that all prompts fit into the given seconds."""

from collections.abc import Sequence

from models.scheduling.effort import EVIDENCE, Effort, Work
from models.scheduling.speed import Speed

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


def together(works: Sequence[Work]) -> Work:
    """Return the work of prompts in one batch: all characters are read, texts are written in parallel."""
    return Work(sum(work.characters for work in works), max((work.steps for work in works), default=0))


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
