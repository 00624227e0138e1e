"""Linear layers whose weights are laid out once for oneDNN, the matrix library of torch on CPUs.

A plain layer lays its weights out anew at every product, or uses MKL, which is slow for few rows. The two operators are
torch's own for compiled models and are not part of its public interface: `can_pack` tries them out, and where they are
missing or compute something else, the layers stay as they are.
"""

import torch
from torch.nn.functional import linear

_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.3}


class PackedLinear(torch.nn.Module):
    """A linear layer without gradients that computes with packed weights."""

    def __init__(self, layer: torch.nn.Linear, *, keeps_weight: bool = False) -> None:
        """Pack the weights of `layer`; `keeps_weight` keeps them, so that `pack` can be called after a change."""
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._bias = None if layer.bias is None else layer.bias.data
        self._weight = layer.weight.data if keeps_weight else None
        self._packed = packed(layer.weight.data)

    def pack(self) -> None:
        """Pack the kept weights again after they have changed."""
        if self._weight is not None:
            self._packed = packed(self._weight)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return [..., out_features] for [..., in_features] states."""
        return product(states, self._packed, self._bias)


def packed(weight: torch.Tensor) -> torch.Tensor:
    """Return the weights [out, in] in the layout of oneDNN."""
    result: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)
    return result


def product(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return `states` times packed weights, plus the bias."""
    result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
    return result


@torch.inference_mode()
def can_pack(dtype: torch.dtype) -> bool:
    """Return whether this torch and this processor multiply packed weights of the dtype, and rightly."""
    if dtype not in _TOLERANCE:
        return False
    states, weight = torch.linspace(-1, 1, 4 * 64).view(4, 64), torch.linspace(-1, 1, 32 * 64).view(32, 64).sin()
    try:
        found = product(states.to(dtype), packed(weight.to(dtype)), None)
    except (AttributeError, RuntimeError):
        return False
    return bool((found.float() - linear(states, weight)).abs().max() < _TOLERANCE[dtype])


def pack(model: torch.nn.Module, *, but: object = None, keeps_weights: bool = False) -> None:
    """Replace every plain linear layer of a model by a packed one, except `but`.

    `keeps_weights` keeps the plain weights too, for adapters that change them.
    """
    found = [(name, each) for name, each in model.named_modules() if type(each) is torch.nn.Linear and each is not but]
    for name, layer in found:
        model.set_submodule(name, PackedLinear(layer, keeps_weight=keeps_weights))


def pack_again(model: torch.nn.Module) -> None:
    """Pack the layers of a model anew, after an adapter has changed their plain weights."""
    for module in model.modules():
        if isinstance(module, PackedLinear):
            module.pack()
