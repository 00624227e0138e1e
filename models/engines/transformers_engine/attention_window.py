"""Sliding-window attention for masks that are made here: transformers takes such a mask as it is, without a window."""

from typing import Any

import torch


def windowed(mask: torch.Tensor, config: Any) -> torch.Tensor | dict[str, torch.Tensor]:
    """Return what the layers of the model with this `config` take for `mask`, [batch, 1, length, keys].

    Mistral and Phi-3 have one window for all layers; a model whose layers differ gets a mask for each kind.
    """
    window = getattr(config, "sliding_window", None)
    if window is None:
        return mask
    limited = newest(mask, window)
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        return {"full_attention": mask, "sliding_attention": limited}
    return limited


def newest(mask: torch.Tensor, window: int) -> torch.Tensor:
    """Return the mask in which every token looks at no more than the last `window` of the keys that it sees.

    Keys stand in the order of their positions, and a token sees each position once, in a token tree too, so counting
    visible keys counts positions.
    """
    if mask.shape[-1] <= window:
        return mask
    return mask & (mask.flip(-1).cumsum(-1).flip(-1) <= window)
