"""What cannot be mixed or added: numbers that are infinite or none at all, as a training that diverged leaves them."""

from pathlib import Path

import torch

from models.engines.adapter_config import TENSORS, matrix_name
from models.engines.adapter_matrices import Changes, read_matrices
from utilities.errors import UserError


def check_finite(path: Path, name: str, tensor: torch.Tensor) -> None:
    """See that all numbers of the tensor `name` in the file `path` are finite.

    Raises:
        UserError: one is not.
    """
    # torch tells it of no type of eight bits.
    if not (tensor if tensor.element_size() > 1 else tensor.float()).isfinite().all():
        raise UserError(f"{path}: {name} holds NaN or infinity: it is damaged or its training diverged: take another")


def read_finite(adapter: Path) -> Changes:
    """Read the adapter in a folder.

    Raises:
        UserError: it cannot be read, lacks a matrix, or holds a number that is not finite.
    """
    changes = read_matrices(adapter)
    for module, change in changes.items():
        for side, matrix in (("A", change.down), ("B", change.up)):
            check_finite(adapter / TENSORS, matrix_name(module, side), matrix)
    return changes
