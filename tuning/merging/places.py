"""Where each weight of a model is, told by its name."""

import re
from collections.abc import Collection

from tuning.merging.method import Place

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_ATTENTION = re.compile(r"\.(self_attn|attn|attention)\.")
_MLP = re.compile(r"\.(mlp|feed_forward)\.")


def places(names: Collection[str]) -> dict[str, Place]:
    """Return each name's place; names without a layer, and norms between the parts, are elsewhere.

    The last layer is the last that any name has, and a single layer is at depth 0, as in mergekit.
    """
    layers = {name: int(found[1]) for name in names if (found := _LAYER.search(name))}
    last = max(layers.values(), default=0)
    return {name: _place(name, layers.get(name), last) for name in names}


def _place(name: str, layer: int | None, last: int) -> Place:
    if layer is None:
        return Place()
    depth = layer / last if last else 0.0
    if _ATTENTION.search(name):
        return Place("attention", depth)
    return Place("mlp" if _MLP.search(name) else "elsewhere", depth)
