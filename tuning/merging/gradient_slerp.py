"""Spherical linear interpolation of two models whose t changes over the layers."""

from collections.abc import Sequence

import numpy as np
import torch

from tuning.merging.method import Method, Place, Shares, require_share, require_two
from tuning.merging.slerp import slerp
from utilities.typed_yaml import checked


@checked
class GradientSlerp(Method):
    """t of the second model: one list for self-attention and one for the MLP, spread over the layers, one t elsewhere.

    The lists are mergekit's published example of a gradient, which the method's team took over.
    """

    attention: tuple[float, ...] = (0.0, 0.5, 0.3, 0.7, 1.0)
    mlp: tuple[float, ...] = (1.0, 0.5, 0.7, 0.3, 0.0)
    elsewhere: float = 0.5

    def __post_init__(self) -> None:
        for name, anchors in (("attention", self.attention), ("mlp", self.mlp), ("elsewhere", (self.elsewhere,))):
            if not anchors:
                raise ValueError(f"{name} is empty; give at least one t")
            for anchor in anchors:
                require_share(name, anchor)

    def check(self, count: int) -> None:
        """See that two models are mixed."""
        require_two("gradient_slerp", count)

    def shares(self, place: Place, count: int) -> Shares:  # noqa: ARG002 - two by `check`
        """Return 1 - t and t at this place."""
        anchors = {"attention": self.attention, "mlp": self.mlp, "elsewhere": (self.elsewhere,)}[place.part]
        t = spread(anchors, place.depth)
        return 1 - t, t

    def mix(self, tensors: Sequence[torch.Tensor], shares: Shares) -> torch.Tensor:
        """Mix along the arc."""
        return slerp(tensors[0], tensors[1], shares)


def spread(anchors: Sequence[float], depth: float) -> float:
    """Return the value at `depth` (0 to 1) of the straight lines between anchors at equal distances."""
    return float(np.interp(depth * (len(anchors) - 1), range(len(anchors)), anchors))
