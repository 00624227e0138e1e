"""What a way of mixing models is: each parent's share of a weight, and how weights are mixed by these shares."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Shares = tuple[float, ...]
"""How much of each parent is taken; the sum is 1."""


@dataclass(frozen=True)
class Place:
    """Where a weight is: the part of its layer, and the layer's depth from 0 (first) to 1 (last)."""

    part: Literal["attention", "mlp", "elsewhere"] = "elsewhere"
    depth: float = 0.0


class Method(ABC):
    """A way of mixing; its fields are the keys of a recipe."""

    needs_base = False
    """Whether the first of the mixed models has to be the base."""

    @abstractmethod
    def check(self, count: int) -> None:
        """See that `count` models can be mixed.

        Raises:
            ValueError: they cannot.
        """

    @abstractmethod
    def shares(self, place: Place, count: int) -> Shares:
        """Return the share of each of `count` models at a place."""

    def mix(self, tensors: Sequence[torch.Tensor], shares: Shares) -> torch.Tensor:
        """Mix float32 tensors of one shape: their average by shares, unless a method mixes otherwise."""
        return average(tensors, shares)


def only(shares: Shares) -> int | None:
    """Return the index of the parent that is taken whole, None where several are mixed."""
    return shares.index(1.0) if sum(map(abs, shares)) == 1.0 and 1.0 in shares else None


def mixed(method: Method, place: Place, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mix the tensors of one weight in float32, for the first one's dtype; a share of 1 is that very tensor."""
    shares = method.shares(place, len(tensors))
    sole, dtype = only(shares), tensors[0].dtype
    if sole is not None or not dtype.is_floating_point:
        return tensors[sole or 0].to(dtype)
    return method.mix([tensor.float() for tensor in tensors], shares).to(dtype)


def average(tensors: Sequence[torch.Tensor], shares: Shares) -> torch.Tensor:
    """Return the average by shares, as steps from the first tensor, so that equal tensors stay what they are."""
    first, *others = tensors
    result = first.clone()
    for tensor, share in zip(others, shares[1:], strict=True):
        result += share * (tensor - first)
    return result


def require_two(name: str, count: int) -> None:
    """See that two models are mixed.

    Raises:
        ValueError: there are more or fewer.
    """
    if count != 2:
        raise ValueError(f"{name} mixes two models, not {count}: name two by --parents, or one with --base")


def require_share(name: str, value: float) -> None:
    """See that a share is one.

    Raises:
        ValueError: it is not from 0 to 1.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; it must be from 0 to 1")
