"""A run whose loss or weights are no numbers any more is stopped: nothing that it goes on to make is of use."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from transformers import TrainerCallback

from utilities.errors import UserError

_LOSSES = ("loss", "eval_loss")


class StopsWhereDiverged(TrainerCallback):
    """Raises `UserError` at the first logged loss that is no finite number, before a checkpoint is made of it."""

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Look at the losses of a line."""
        for name, value in (kwargs.get("logs") or {}).items():
            if name in _LOSSES and not math.isfinite(value):
                raise UserError(
                    f"training has diverged: {name} is {value} at step {state.global_step}: lower "
                    f"optimiser.learning_rate or optimiser.max_gradient_norm, and remove {args.output_dir}"
                )


def check_finite(tensors: Mapping[str, torch.Tensor]) -> None:
    """See that an adapter's tensors are finite numbers.

    Raises:
        UserError: one is not.
    """
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(
                f"training has diverged: {name} has values that are no numbers in half precision: lower "
                "optimiser.learning_rate or optimiser.max_gradient_norm, and train anew"
            )
