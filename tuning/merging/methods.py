"""The merge methods: weighted averages of models, and spherical interpolation between two models."""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from tuning.merging.method import Method, Place, Shares, average
from utilities.typed_yaml import checked

LINEAR = 0.9995
"""mergekit's threshold: weights with a higher cosine are interpolated linearly."""
UnitShare = Annotated[float, Field(ge=0, le=1)]
Anchors = Annotated[tuple[UnitShare, ...], Field(min_length=1)]


@checked
class Linear(Method):
    """The average of models ("model soups", Wortsman et al. 2022); `weights` are proportions, by default equal ones."""

    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.weights and not (min(self.weights) >= 0 and 0 < sum(self.weights) < float("inf")):
            raise ValueError(f"weights are {list(self.weights)}; they must be 0 or more, and one of them above 0")

    def check(self, count: int) -> None:
        """Check that there are two models or more, and a weight for each."""
        if count < 2:
            raise ValueError("averages two models or more: name them by --parents")
        if self.weights and len(self.weights) != count:
            raise ValueError(f"has {len(self.weights)} weights and {count} models are given: give one for each")

    def shares(self, place: Place, count: int) -> Shares:  # noqa: ARG002 - the same at every place
        """Return the proportions, scaled to the sum 1."""
        weights = self.weights or (1.0,) * count
        return tuple(weight / sum(weights) for weight in weights)


@checked
class WiseFt(Method):
    """WiSE-FT: base + share * (tuned - base) (Wortsman et al. 2022, arXiv 2109.01903)."""

    share: UnitShare

    needs_base = True

    def shares(self, place: Place, count: int) -> Shares:  # noqa: ARG002 - the same at every place
        """Return the base's share and the tuned model's."""
        return 1 - self.share, self.share


class _Spherical(Method):
    def mix(self, tensors: Sequence[torch.Tensor], shares: Shares) -> torch.Tensor:
        """Mix two tensors along the arc between them."""
        return slerp(tensors[0], tensors[1], shares)


@checked
class Slerp(_Spherical):
    """`t` of the second model and 1 - t of the first, along the arc between them (Shoemake 1985)."""

    t: UnitShare = 0.5

    def shares(self, place: Place, count: int) -> Shares:  # noqa: ARG002 - the same at every place
        """Return 1 - t and t."""
        return 1 - self.t, self.t


@checked
class GradientSlerp(_Spherical):
    """t of the second model: one list for self-attention and one for the MLP, spread over the layers, one t elsewhere.

    The lists are mergekit's published example of a gradient, which the method's team used.
    """

    attention: Anchors = (0.0, 0.5, 0.3, 0.7, 1.0)
    mlp: Anchors = (1.0, 0.5, 0.7, 0.3, 0.0)
    elsewhere: UnitShare = 0.5

    def shares(self, place: Place, count: int) -> Shares:  # noqa: ARG002 - two by `check`
        """Return 1 - t and t at this place."""
        anchors = {"attention": self.attention, "mlp": self.mlp, "elsewhere": (self.elsewhere,)}[place.part]
        t = spread(anchors, place.depth)
        return 1 - t, t


def spread(anchors: Sequence[float], depth: float) -> float:
    """Return the value at `depth` (0 to 1) of the straight lines between anchors at equal distances."""
    return float(np.interp(depth * (len(anchors) - 1), range(len(anchors)), anchors))


def slerp(first: torch.Tensor, second: torch.Tensor, shares: Shares) -> torch.Tensor:
    """Return sin((1 - t) w) / sin(w) of `first` and sin(t w) / sin(w) of `second`, w the angle between them.

    A tensor of any shape is one vector, and keeps its length. Tensors that are nearly parallel or opposite, whose
    sin(w) is close to 0, are averaged. Tensors of length 0, which have no direction, are averaged too.
    """
    cosine = _cosine(first, second)
    if cosine is None or abs(cosine) > LINEAR:
        return average((first, second), shares)
    angle = math.acos(cosine)
    left, right = (math.sin(share * angle) / math.sin(angle) for share in shares)
    return left * first + right * second


def _cosine(first: torch.Tensor, second: torch.Tensor) -> float | None:
    """Return the cosine of the angle between two tensors, None if one of them has no direction.

    In float64: in float32 the length of an embedding of 28 million numbers is wrong by 0.2 %, and products of very
    small numbers are 0.
    """
    lengths = [float(torch.linalg.vector_norm(each, dtype=torch.float64)) for each in (first, second)]
    if not all(lengths):
        return None
    return float(torch.mul(first.double(), second).sum()) / lengths[0] / lengths[1]
