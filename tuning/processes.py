"""Which of a launcher's processes this is: torchrun and accelerate say so in the environment."""

import os

import torch
from accelerate import PartialState

_COUNT, _RANK = "WORLD_SIZE", "RANK"


def launched() -> bool:
    """Tell whether a launcher started this process."""
    return _COUNT in os.environ


def process_count() -> int:
    """Return how many processes train together; 1 without a launcher."""
    return int(os.environ.get(_COUNT, "1"))


def is_main() -> bool:
    """Tell whether this is the process that writes; without a launcher it is."""
    return int(os.environ.get(_RANK, "0")) == 0


def take_device() -> None:
    """Join the launcher's other processes and take a GPU of one's own, before anything is loaded onto the first one."""
    if launched():
        PartialState(cpu=not torch.cuda.is_available())
