"""Reorders the candidates of a question, to reduce the position bias of a model."""

import random
from collections.abc import Sequence
from dataclasses import replace

from prompts.prompt import Choice, Prompt, Selection
from prompts.reading import read_numbered_list


def reorderings(prompt: Prompt, count: int, seed: int = 0) -> tuple[Prompt, ...]:
    """Return up to `count` prompts with the option texts in other orders, the same orders for the same seed.

    The first order is the reverse, the others are shuffled. A prompt whose list cannot be read back has none.
    """
    space = prompt.space
    if not isinstance(space, Choice | Selection) or len(set(space.texts)) < 2:
        return ()
    size = len(space.texts)
    shuffle = random.Random(seed).sample
    orders = [tuple(reversed(range(size))), *(tuple(shuffle(range(size), size)) for _ in range(3 * count))]
    different = [order for order in dict.fromkeys(orders) if order != tuple(range(size))]
    made = [_reordered(prompt, space, order) for order in different[:count]]
    return tuple(other for other in made if other is not None)


def scores_in_order(prompt: Prompt, reordered: Prompt, scores: Sequence[float]) -> tuple[float, ...]:
    """Return the scores of a reordered prompt's labels in the order of the texts of `prompt`."""
    assert isinstance(prompt.space, Choice | Selection)
    assert isinstance(reordered.space, Choice | Selection)
    places: dict[str, list[int]] = {}
    for place, text in enumerate(reordered.space.texts):
        places.setdefault(text, []).append(place)
    return tuple(scores[places[text].pop(0)] for text in prompt.space.texts)


def _reordered(prompt: Prompt, space: Choice | Selection, order: Sequence[int]) -> Prompt | None:
    texts = tuple(space.texts[index] for index in order)
    user = _with_texts(prompt.user, space, texts)
    return None if user is None else replace(prompt, user=user, space=replace(space, texts=texts), evidence={})


def _with_texts(user: str, space: Choice | Selection, texts: Sequence[str]) -> str | None:
    """Write `texts` where the list of `user` has those of `space`."""
    listed = read_numbered_list(user)
    if listed is None or tuple(item.text for item in listed.items) != space.texts:
        return None
    if tuple(item.label for item in listed.items) != space.labels:
        return None
    parts, at = [], len(listed.before)
    for item, text in zip(listed.items, texts, strict=True):
        label = user.find(item.label, at)
        start = user.find(item.text, label + len(item.label))
        if label < 0 or start < 0:
            return None
        parts += [user[at:start], text]
        at = start + len(item.text)
    written = listed.before + "".join(parts) + user[at:]
    return written if _texts(written) == tuple(texts) else None


def _texts(user: str) -> tuple[str, ...]:
    listed = read_numbered_list(user)
    return tuple(item.text for item in listed.items) if listed else ()
