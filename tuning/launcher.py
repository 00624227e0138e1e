"""The number and rank of this process among those that torchrun or accelerate launched together."""

import os

import torch
from accelerate import PartialState


def launched() -> bool:
    """Return whether a launcher started this process."""
    return "WORLD_SIZE" in os.environ


def process_count() -> int:
    """Return the number of processes that train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Return whether this process writes the results; true without a launcher."""
    return int(os.environ.get("RANK", "0")) == 0


def take_device() -> None:
    """Join the other processes and select this process's GPU; otherwise all would load onto the first GPU."""
    if launched():
        PartialState(cpu=not torch.cuda.is_available())
