"""Spherical linear interpolation of two models' weights, the same for every weight."""

import math
from collections.abc import Sequence

import torch

from tuning.merging.method import Method, Place, Shares, average, require_share, require_two
from utilities.typed_yaml import checked

LINEAR = 0.9995
"""mergekit's threshold: where the cosine of two weights is beyond, they are interpolated linearly."""


@checked
class Slerp(Method):
    """`t` of the second model and 1 - t of the first, along the arc between them (Shoemake 1985)."""

    t: float = 0.5

    def __post_init__(self) -> None:
        require_share("t", self.t)

    def check(self, count: int) -> None:
        """See that two models are mixed."""
        require_two("slerp", count)

    def shares(self, place: Place, count: int) -> Shares:  # noqa: ARG002 - the same everywhere
        """Return 1 - t and t."""
        return 1 - self.t, self.t

    def mix(self, tensors: Sequence[torch.Tensor], shares: Shares) -> torch.Tensor:
        """Mix along the arc."""
        return slerp(tensors[0], tensors[1], shares)


def slerp(first: torch.Tensor, second: torch.Tensor, shares: Shares) -> torch.Tensor:
    """Return sin((1 - t) w) / sin(w) of `first` and sin(t w) / sin(w) of `second`, w the angle between them.

    A tensor is one vector, whatever its shape, and keeps its own length. Nearly parallel and opposite ones, whose
    sin(w) is next to 0, are averaged, and so is one of length 0, which has no direction.
    """
    cosine = _cosine(first, second)
    if cosine is None or abs(cosine) > LINEAR:
        return average((first, second), shares)
    angle = math.acos(cosine)
    left, right = (math.sin(share * angle) / math.sin(angle) for share in shares)
    return left * first + right * second


def _cosine(first: torch.Tensor, second: torch.Tensor) -> float | None:
    """Return the cosine of the angle between two tensors, None where one of them has no direction.

    In float64: in float32 the length of an embedding of 28 million numbers comes out wrong by 0.2 %, and products of
    very small numbers are 0.
    """
    lengths = [float(torch.linalg.vector_norm(each, dtype=torch.float64)) for each in (first, second)]
    if not all(lengths):
        return None
    return float(torch.mul(first.double(), second).sum()) / lengths[0] / lengths[1]
