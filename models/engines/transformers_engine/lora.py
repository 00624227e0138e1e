"""LoRA adapters on a model of transformers: merged into dense weights, computed beside quantised ones."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from models.engines.adapter_matrices import Change, Changes, read_changes

Switch = Callable[[str], None]
"""A function that replaces the adapter in use by the one of this name, "" for none."""


def attach(model: Any, folders: Mapping[str, Path | None]) -> Switch:
    """Attach adapters to a model, use the first of them, and return the function that switches to another one.

    `folders` are their folders by name; None stands for the base without an adapter. A single
    adapter is merged in place, so that it costs neither memory nor speed. Several keep the base's tensors that any of
    them changes, so that a switch back is exact.

    Raises:
        UserError: an adapter cannot be read or belongs to another base.
    """
    changes = {name: read_changes(folder, model) if folder else {} for name, folder in folders.items()}
    touched = sorted({module for each in changes.values() for module in each})
    modules = {name: model.get_submodule(name) for name in touched}
    several, first = len(changes) > 1, next(iter(changes))
    if all(type(module) is torch.nn.Linear for module in modules.values()):
        adapters: _Merged | _Beside = _Merged(modules, changes, keeps_base=several)
    else:
        adapters = _Beside(modules, changes)
    adapters.use(first)
    return adapters.use if several else _stay


def _stay(_: str) -> None:
    """Keep the only adapter."""


class _Merged:
    """Dense weights that adapters are merged into, always from the base's own tensors."""

    def __init__(
        self, modules: Mapping[str, torch.nn.Linear], changes: Mapping[str, Changes], *, keeps_base: bool
    ) -> None:
        self._weights = {name: module.weight.data for name, module in modules.items()}
        self._changes = changes
        self._base = {n: weight.clone() for n, weight in self._weights.items()} if keeps_base else self._weights
        self._changed: frozenset[str] = frozenset()

    @torch.no_grad()
    def use(self, name: str) -> None:
        chosen = self._changes[name]
        # A switch that breaks off leaves weights of both adapters, which the next one overwrites.
        self._changed |= chosen.keys()
        for module in self._changed:
            base = self._base[module]
            changed = base.float() + chosen[module].delta(base.device) if module in chosen else base
            self._weights[module].copy_(changed)
        self._changed = frozenset(chosen)


class _Beside:
    """Quantised layers: nothing can be added to their packed weights, so the change is computed beside each layer."""

    def __init__(self, modules: Mapping[str, Any], changes: Mapping[str, Changes]) -> None:
        self._modules, self._changes = modules, changes
        self._hooks: list[Any] = []

    def use(self, name: str) -> None:
        for hook in self._hooks:
            hook.remove()
        chosen = self._changes[name].items()
        self._hooks = [self._modules[module].register_forward_hook(_adding(change)) for module, change in chosen]


def _adding(change: Change) -> Callable[[Any, tuple[torch.Tensor, ...], torch.Tensor], torch.Tensor]:
    """Make a hook that adds the change, applied to a layer's input, to the layer's output."""
    placed: dict[tuple[torch.device, torch.dtype], tuple[torch.Tensor, torch.Tensor]] = {}

    def add(_: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        read = inputs[0]
        where = read.device, read.dtype
        if where not in placed:
            placed[where] = change.down.to(*where), (change.up.float() * change.scale).to(*where)
        down, up = placed[where]
        added = torch.nn.functional.linear(torch.nn.functional.linear(read, down), up)
        return output + added.to(output.dtype)

    return add
