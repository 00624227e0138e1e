"""The interface of a merge method: each parent's share of a weight, and the mixing of weights by these shares."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

Shares = tuple[float, ...]
"""The share of each parent; the sum is 1."""
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_ATTENTION = re.compile(r"\.(self_attn|attn|attention)\.")
_MLP = re.compile(r"\.(mlp|feed_forward)\.")


@dataclass(frozen=True)
class Place:
    """The position of a weight: the part of its layer, and the layer's depth from 0 (first) to 1 (last)."""

    part: Literal["attention", "mlp", "elsewhere"] = "elsewhere"
    depth: float = 0.0


class Method(ABC):
    """A merge method; its fields are the keys of a recipe."""

    needs_base = False
    """Whether the first of the mixed models must be the base."""

    def check(self, count: int) -> None:
        """Raise a ValueError, whose text follows the method's name, unless `count` models can be mixed."""
        if count != 2:
            raise ValueError(f"mixes two models, not {count}: name two by --parents, or one with --base")

    @abstractmethod
    def shares(self, place: Place, count: int) -> Shares:
        """Return the share of each of `count` models at a place."""

    def mix(self, tensors: Sequence[torch.Tensor], shares: Shares) -> torch.Tensor:
        """Mix float32 tensors of one shape: by default their average by shares."""
        return average(tensors, shares)


def places(names: Collection[str]) -> dict[str, Place]:
    """Return each weight's place by its name; names without a layer, and norms between the parts, are elsewhere.

    The last layer is the highest number in any name, and a single layer has depth 0, as in mergekit.
    """
    layers = {name: int(found[1]) for name in names if (found := _LAYER.search(name))}
    last = max(layers.values(), default=0)
    return {name: _place(name, layers[name] / (last or 1)) if name in layers else Place() for name in names}


def _place(name: str, depth: float) -> Place:
    if _ATTENTION.search(name):
        return Place("attention", depth)
    return Place("mlp" if _MLP.search(name) else "elsewhere", depth)


def only(shares: Shares) -> int | None:
    """Return the index of the parent with share 1; None if several parents are mixed."""
    return shares.index(1.0) if sum(map(abs, shares)) == 1.0 and 1.0 in shares else None


def mixed(method: Method, place: Place, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mix the tensors of one weight in float32, into the first one's dtype; a share of 1 returns that very tensor."""
    shares = method.shares(place, len(tensors))
    sole, dtype = only(shares), tensors[0].dtype
    if sole is not None or not dtype.is_floating_point:
        return tensors[sole or 0].to(dtype)
    return method.mix([tensor.float() for tensor in tensors], shares).to(dtype)


def average(tensors: Sequence[torch.Tensor], shares: Shares) -> torch.Tensor:
    """Return the average by shares, as steps from the first tensor, so that equal tensors stay unchanged."""
    first, *others = tensors
    result = first.clone()
    for tensor, share in zip(others, shares[1:], strict=True):
        result += share * (tensor - first)
    return result
