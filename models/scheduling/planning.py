"""What is done for each prompt of a batch in the seconds that there are."""

from collections.abc import Sequence

from models.scheduling.effort import EVIDENCE, Effort, Work
from models.scheduling.speed import Speed

_SPARE_SHARE = 0.5
"""Spare work is begun only where all of it is expected to end in half of the time."""

Efforts = Sequence[Effort]
"""The efforts of one prompt, the dearest first and evidence last."""


def plan(choices: Sequence[Efforts], speed: Speed, seconds: float) -> list[Effort]:
    """Choose an effort for each prompt, so that all are expected to end within `seconds`.

    All begin as planned. While that takes too long, the prompt that saves most becomes cheaper; while there is time to
    spare, the prompt that costs least gets more.
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
    """Return the work of prompts that are asked at once: all is read, texts are written side by side."""
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
