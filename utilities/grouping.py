"""Groups items by key, processes each group at once, and returns the results in the items' order."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

K = TypeVar("K")
R = TypeVar("R")


def grouped(keys: Sequence[K]) -> dict[K, list[int]]:
    """Return the indices of each key, in the order in which the keys first appear."""
    groups: dict[K, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return groups


def in_order(groups: Mapping[K, Sequence[int]], answer: Callable[[K, Sequence[int]], Sequence[R]]) -> list[R]:
    """Answer each group of indices, and return the results in the order of the indices.

    Raises:
        ValueError: a group has not as many results as indices.
    """
    results: dict[int, R] = {}
    for key, indices in groups.items():
        results.update(zip(indices, answer(key, indices), strict=True))
    return [results[index] for index in range(len(results))]
