"""A Hugging Face trainer whose loss covers answer tokens only, with batches of similar length and held-out scores."""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback
from transformers.trainer_pt_utils import LengthGroupedSampler

from tuning.examples import Example
from tuning.objective import Batch, candidate_scores, collate, example_losses, example_values
from utilities.errors import UserError
from utilities.files import write_text

_BATCH = "batch"
_HELD_OUT = "eval_loss"


class OrderByLength(LengthGroupedSampler):
    """Orders rows of similar length next to each other, in a new order each epoch.

    The order follows from `seed` alone, which is called as an epoch begins: an order that followed from the epochs
    before would differ in a resumed run.
    """

    def __init__(self, lengths: list[int], size: int, seed: Callable[[], int]) -> None:
        """Take the rows' lengths in tokens, and the number of rows in an optimiser step."""
        super().__init__(size, lengths=lengths)
        self._seed = seed

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self._seed())
        return iter(super().__iter__())  # type: ignore[no-untyped-call]


class AnswerTrainer(Trainer):
    """Trains on `Example` rows; `tokens_seen` counts the tokens of the forward passes, without padding."""

    def __init__(self, model: Any, head: torch.nn.Module, pad: int, *, group_by_length: bool, **others: Any) -> None:

        def collated(rows: Sequence[Example]) -> dict[str, Any]:
            # The trainer takes the size of a batch from the first tensor that it finds.
            return {"rows": torch.arange(len(rows)), _BATCH: collate(rows, pad)}

        super().__init__(model=model, data_collator=collated, compute_metrics=_mean_value, **others)
        self._head = head
        self._grouped = group_by_length
        # The loss is the mean of a batch's examples, so the trainer has to divide by the batches of a step.
        self.model_accepts_loss_kwargs = False
        self.tokens_seen = 0

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return the mean loss of the batch's examples, with their scores if `return_outputs` is set."""
        batch: Batch = inputs[_BATCH]
        placed = {name: tensor.to(self.args.device) for name, tensor in batch.inputs.items()}
        scores = candidate_scores(model, self._head, Batch(**{**vars(batch), "inputs": placed}))
        if model.training:
            self.tokens_seen += sum(each.length for each in batch.examples)
        loss = example_losses(scores, batch.examples).mean()
        return (loss, scores) if return_outputs else loss

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the batch's mean loss, each example's value, and zeros in place of labels."""
        with torch.no_grad():
            loss, scores = self.compute_loss(model, inputs, return_outputs=True)
        values = torch.tensor(example_values(scores, inputs[_BATCH].examples), device=loss.device)
        return loss.detach(), values, torch.zeros_like(values)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        rows: Any = train_dataset or self.train_dataset
        if not self._grouped:
            return super()._get_train_sampler(rows)
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return OrderByLength([each.length for each in rows], size, lambda: self.args.seed + int(self.state.epoch or 0))


def _mean_value(prediction: Any) -> dict[str, float]:
    """Return the mean value, 0 to 1, of the rows that have one."""
    values = np.asarray(prediction.predictions, dtype=np.float64)
    known = values[~np.isnan(values)]
    return {"score": float(known.mean())} if len(known) else {}


class RunMonitor(TrainerCallback):
    """Writes the trainer's logs as JSON lines with tokens a second, and stops a run that diverges.

    A resumed run drops the lines of the steps that it repeats.
    """

    def __init__(self, path: Path, trainer: AnswerTrainer) -> None:
        self._path, self._trainer = path, trainer
        self._tokens, self._time = 0, time.perf_counter()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop the lines of steps that are repeated, and a line that a killed run left unfinished."""
        self._tokens, self._time = 0, time.perf_counter()
        if state.is_world_process_zero:
            kept = [line for line in _whole_lines(self._path) if _stays(line, state.global_step)]
            write_text(self._path, "".join(f"{json.dumps(line)}\n" for line in kept))

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Append a line, or raise a `UserError` if a loss is not finite; no checkpoint has been made of it yet."""
        line: dict[str, Any] = {"step": state.global_step, **kwargs.get("logs", {})}
        for name in ("loss", _HELD_OUT):
            if not math.isfinite(line.get(name, 0.0)):
                raise UserError(
                    f"training has diverged: {name} is {line[name]} at step {state.global_step}: lower "
                    f"optimiser.learning_rate or optimiser.max_gradient_norm, and remove {args.output_dir}"
                )
        if not state.is_world_process_zero:
            return
        if "loss" in line:
            tokens, now = self._trainer.tokens_seen, time.perf_counter()
            line["tokens_per_second"] = round((tokens - self._tokens) / (now - self._time), 1)
            self._tokens, self._time = tokens, now
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Restart the measurement of tokens a second, without the time of the held-out rows."""
        self._tokens, self._time = self._trainer.tokens_seen, time.perf_counter()


def _whole_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the complete lines; the others are reported on stderr."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for number, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            yield line
        else:
            print(f"{path}, line {number}: dropped because it is incomplete", file=sys.stderr)


def _stays(line: dict[str, Any], step: int) -> bool:
    """Return whether a run that is resumed at `step`, with the held-out rows first, does not write the line again."""
    return int(line["step"]) < step or (int(line["step"]) == step and _HELD_OUT not in line)
