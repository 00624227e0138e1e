"""The matrices of a LoRA adapter in peft's folder layout, read without peft and checked against the model.

A module's weight W becomes W + scale x B A (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"), with
A [rank, inputs] and B [outputs, rank]. Importing peft takes longer than the start of a small model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from models.engines.adapter_config import CONFIG, MATRIX, TENSORS, AdapterConfig, read_adapter_config
from models.engines.safetensors_header import read_tensors
from utilities.errors import UserError


@dataclass(frozen=True)
class Change:
    """An adapter's change of one module: `up` [outputs, rank] x `down` [rank, inputs] x `scale`."""

    down: torch.Tensor
    up: torch.Tensor
    scale: float

    def delta(self, device: torch.device) -> torch.Tensor:
        """Return the product, which is added to the weight: float32 [outputs, inputs]."""
        return (self.up.to(device).float() @ self.down.to(device).float()) * self.scale


Changes = Mapping[str, Change]
"""The change of each module by the module's name in the model."""


def read_changes(folder: Path, model: Any) -> Changes:
    """Read the adapter in `folder`, and check that it fits the model.

    Raises:
        UserError: it cannot be read, lacks a matrix, or changes a module that the model lacks.
    """
    changes = read_matrices(folder)
    for module, change in changes.items():
        _check_fit(folder, model, module, change)
    return changes


def read_matrices(folder: Path) -> Changes:
    """Read the adapter in `folder`.

    Raises:
        UserError: it cannot be read, or lacks a matrix.
    """
    config, path = read_adapter_config(folder), folder / TENSORS
    read_tensors(path)
    tensors = load_file(path)
    pairs: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        found = MATRIX.fullmatch(name)
        if not found:
            raise UserError(f"{path}: {name} is not a matrix of a linear layer's LoRA: train without it")
        pairs.setdefault(found["module"], {})[found["side"]] = tensor
    if not pairs:
        raise UserError(f"{path} holds no matrix: copy the adapter again")
    return {module: _change(path, module, pair, config) for module, pair in pairs.items()}


def _change(path: Path, module: str, pair: Mapping[str, torch.Tensor], config: AdapterConfig) -> Change:
    missing = {"A", "B"} - pair.keys()
    if missing:
        raise UserError(f"{path}: {module} has no lora_{missing.pop()}: copy the adapter again")
    one, other, rank = len(pair["A"]), pair["B"].shape[-1], config.rank_of(module)
    if (one, other) != (rank, rank):
        found = f"has matrices of rank {one} and {other}, {CONFIG} says {rank}"
        raise UserError(f"{path}: {module} {found}: copy the adapter again")
    return Change(pair["A"], pair["B"], config.scale_of(module))


def _check_fit(folder: Path, model: Any, name: str, change: Change) -> None:
    wrong = f"{folder} is an adapter for another base than {model.config.name_or_path or 'this one'}: "
    remedy = ": set engine.adapter to none, or engine.weights to its own base"
    try:
        module = model.get_submodule(name)
    except AttributeError:
        raise UserError(f"{wrong}it changes {name}, which this one lacks{remedy}") from None
    sizes = getattr(module, "out_features", None), getattr(module, "in_features", None)
    changed = len(change.up), change.down.shape[-1]
    if sizes != changed:
        here = "no linear layer" if None in sizes else f"{sizes[0]} x {sizes[1]}"
        raise UserError(f"{wrong}{name} is {here} here and {changed[0]} x {changed[1]} there{remedy}")
    if getattr(module, "weight", None) is model.get_input_embeddings().weight:
        raise UserError(f"{folder}: {name} shares its weights with the embedding, so it cannot be changed alone")
