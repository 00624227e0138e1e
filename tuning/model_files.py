"""Reads, checks and writes the tensors of models and adapters."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from models.engines.adapter_config import TENSORS, matrix_name
from models.engines.adapter_matrices import Changes, read_matrices
from utilities.errors import UserError


def read_adapter(folder: Path) -> Changes:
    """Return the changes of a LoRA adapter, or raise a `UserError` if it is damaged or a number is not finite."""
    changes = read_matrices(folder)
    for module, change in changes.items():
        for side, matrix in (("A", change.down), ("B", change.up)):
            check_finite(folder / TENSORS, matrix_name(module, side), matrix)
    return changes


def check_finite(path: Path, name: str, tensor: torch.Tensor) -> None:
    """Raise a `UserError` unless all numbers of the tensor `name` in the file `path` are finite."""
    # torch has no isfinite for types of eight bits.
    if not (tensor if tensor.element_size() > 1 else tensor.float()).isfinite().all():
        raise UserError(f"{path}: {name} holds NaN or infinity: it is damaged or its training diverged: take another")


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a safetensors file that all users may read, or raise an OSError."""
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(" ".join(str(error).split())) from error
    path.chmod(0o644)  # safetensors writes for its owner alone
