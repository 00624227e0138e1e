"""`python tests/tuning/spread_on_cpus.py ARGUMENTS`: tuning.finetune with a model spread over processes, without GPUs.

accelerate spreads a model only over processes that it knows as those of GPUs; PyTorch's own part of the work does it on
CPUs as well. DIES_AT makes the run die at that batch.
"""

import os
import sys
from typing import Any

from accelerate import PartialState
from accelerate.utils import DistributedType

from tuning import finetune
from tuning.answer_trainer import AnswerTrainer
from utilities.errors import exit_code


def call_cpus_gpus() -> None:
    """Have processes on CPUs take themselves for those of GPUs."""
    real = PartialState.__init__

    def called(self: Any, *args: Any, **others: Any) -> None:
        real(self, *args, **others)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = called


def die_at(batch: int) -> None:
    """Have training end in the midst of a batch, counted from 1."""
    real, calls = AnswerTrainer.training_step, []

    def dies(self: AnswerTrainer, *args: Any, **others: Any) -> Any:
        calls.append(1)
        if len(calls) == batch:
            os._exit(9)
        return real(self, *args, **others)

    AnswerTrainer.training_step = dies  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    call_cpus_gpus()
    if "DIES_AT" in os.environ:
        die_at(int(os.environ["DIES_AT"]))
    sys.exit(exit_code(finetune.main))
