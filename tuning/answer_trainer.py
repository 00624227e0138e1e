"""The Hugging Face trainer with losses on answers alone, batches of like length, and scores of held-out rows."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer
from transformers.trainer_pt_utils import get_length_grouped_indices

from tuning.examples import Example
from tuning.objective import AnswerHead, Batch, candidate_scores, collate, example_losses, example_values

BATCH = "batch"


class Rows(torch.utils.data.Dataset[Example]):
    """Examples as the trainer's data loader wants them."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]


class OrderByLength(Sampler[int]):
    """Rows of like length side by side, in a new order each epoch.

    The order follows from `seed` alone, which is asked for as an epoch begins: one that followed from the epochs before
    would be another in a run that was gone on with.
    """

    def __init__(self, lengths: Sequence[int], size: int, seed: Callable[[], int]) -> None:
        """Take the rows' lengths in tokens, and how many rows an optimiser step has."""
        self._lengths, self._size, self._seed = list(lengths), size, seed

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed())
        grouped: Any = get_length_grouped_indices
        yield from grouped(self._lengths, self._size, generator=generator)


class AnswerTrainer(Trainer):
    """Trains on `Example` rows; `tokens_seen` counts the tokens of the forward passes, padding left out."""

    def __init__(self, model: Any, head: AnswerHead, pad: int, *, group_by_length: bool, **others: Any) -> None:
        super().__init__(
            model=model, data_collator=lambda rows: _collated(rows, pad), compute_metrics=mean_value, **others
        )
        self._head = head
        self._grouped = group_by_length
        # The loss is the mean of a batch's examples, so the trainer has to divide by the batches of a step.
        self.model_accepts_loss_kwargs = False
        self.tokens_seen = 0

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return the mean loss of the batch's examples, and their scores where they are asked for."""
        batch: Batch = inputs[BATCH]
        placed = {name: tensor.to(self.args.device) for name, tensor in batch.inputs.items()}
        scores = candidate_scores(model, self._head, Batch(**{**vars(batch), "inputs": placed}))
        if model.training:
            self.tokens_seen += sum(each.length for each in batch.examples)
        loss = example_losses(scores, batch.examples).mean()
        return (loss, scores) if return_outputs else loss

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the batch's mean loss, and each example's value and a place holder for what it is compared with."""
        with torch.no_grad():
            loss, scores = self.compute_loss(model, inputs, return_outputs=True)
        values = torch.tensor(example_values(scores, inputs[BATCH].examples), device=loss.device)
        return loss.detach(), values, torch.zeros_like(values)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int] | None:
        rows: Any = train_dataset or self.train_dataset
        if not self._grouped:
            return super()._get_train_sampler(rows)
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        return OrderByLength(
            [each.length for each in rows.examples], size, lambda: self.args.seed + int(self.state.epoch or 0)
        )

    def _get_eval_sampler(self, eval_dataset: Any) -> Sampler[int]:
        return SequentialSampler(eval_dataset)


def mean_value(prediction: Any) -> dict[str, float]:
    """Return the mean value of the rows that have one, 0 to 1."""
    values = np.asarray(prediction.predictions, dtype=np.float64)
    known = values[~np.isnan(values)]
    return {"score": float(known.mean())} if len(known) else {}


def _collated(rows: Sequence[Example], pad: int) -> dict[str, Any]:
    # The trainer tells the size of a batch by the first tensor that it finds.
    return {"rows": torch.arange(len(rows)), BATCH: collate(rows, pad)}
