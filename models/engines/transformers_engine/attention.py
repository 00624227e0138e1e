"""Masks of attention, and attention for models with fewer key heads than query heads that copies no keys or values.

The query heads that share a key head are stacked behind each token: [batch, heads, tokens, size] becomes
[batch, key heads, tokens x group, size]. The mask is repeated in the same way, once for all layers.
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

_NAME = "shopalign_grouped"
_BLOCK = 64


def windowed(mask: torch.Tensor, config: Any) -> torch.Tensor | dict[str, torch.Tensor]:
    """Return the mask that the layers of the model with this `config` take for `mask`, [batch, 1, length, keys].

    transformers adds no sliding window to a mask that it is given. Mistral and Phi-3 have one window for all layers; a
    model whose layers differ gets a mask for each kind.
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


def numbered(mask: torch.Tensor | dict[str, torch.Tensor], group: int) -> torch.Tensor | dict[str, torch.Tensor]:
    """Return masks, true where a token looks, as numbers to add for each head of a group; unchanged if it is 0."""
    if not group:
        return mask
    if isinstance(mask, dict):
        return {kind: _added(each, group) for kind, each in mask.items()}
    return _added(mask, group)


def _added(mask: torch.Tensor, group: int) -> torch.Tensor:
    numbers = torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, -torch.inf)
    return numbers.repeat_interleave(group, dim=2)


def use_grouped_attention(model: Any) -> int:
    """Let a model of transformers use `grouped_attention`; return how many query heads share a key head, 0 if none do.

    The masks of its forward pass have to come from `numbered` then.
    """
    config = model.config.get_text_config()
    group = int(config.num_attention_heads // config.num_key_value_heads)
    if group < 2:
        return 0
    AttentionInterface.register(_NAME, grouped_attention)
    model.set_attn_implementation(_NAME)
    return group


def grouped_attention(
    _: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **others: Any,  # noqa: ARG001 - transformers passes more than is used without training
) -> tuple[torch.Tensor, None]:
    """Attend as transformers' `eager` does; `attention_mask` comes from `numbered`, None for a causal one.

    `query` is [batch, heads, tokens, size], `key` and `value` are [batch, key heads, keys, size]; the result is [batch,
    tokens, heads, size]. No token looks at a key behind its own, so a block of tokens leaves out the keys behind it.
    """
    rows, heads, tokens, size = query.shape
    scale = size**-0.5 if scaling is None else scaling
    if attention_mask is None:
        found = scaled_dot_product_attention(query, key, value, is_causal=tokens > 1, scale=scale, enable_gqa=True)
        return found.transpose(1, 2).contiguous(), None
    group, past = heads // key.shape[1], key.shape[2] - tokens
    stacked = query.view(rows, -1, group, tokens, size).transpose(2, 3).reshape(rows, -1, tokens * group, size)
    blocks = []
    for begin in range(0, tokens, _BLOCK):
        end = min(begin + _BLOCK, tokens)
        these, seen = slice(begin * group, end * group), past + end
        logits = torch.matmul(stacked[:, :, these], key[:, :, :seen].transpose(-1, -2)).float()
        shares = torch.add(attention_mask[:, :, these, :seen], logits, alpha=scale).softmax(-1)
        blocks.append(torch.matmul(shares.to(value.dtype), value[:, :, :seen]))
    found = torch.cat(blocks, dim=2).view(rows, -1, tokens, group, size)
    return found.transpose(1, 2).reshape(rows, tokens, heads, size), None
