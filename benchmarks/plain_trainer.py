"""The trainer as it comes: the loss of every token of the chat, padded batches in the order that chance gives."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Trainer

from models.engines.answering.rendering import question_tokens
from models.engines.local_folder import TextCoder
from tuning.examples import Limits
from tuning.training_form import TrainingForm

_NO_LOSS = -100


class Chats(torch.utils.data.Dataset[dict[str, list[int]]]):
    """Questions with their answers as tokens."""

    def __init__(self, forms: Sequence[TrainingForm], coder: TextCoder, limits: Limits) -> None:
        self.rows = [_chat(form, coder, limits) for form in forms]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return {"input_ids": self.rows[index]}


def _chat(form: TrainingForm, coder: TextCoder, limits: Limits) -> list[int]:
    question = question_tokens(coder, form.prompt, form.prompt.user, limits.prompt)
    return [*question, *coder.continuation(answer_of(form))[: limits.text], coder.ends[0]]


def answer_of(form: TrainingForm) -> str:
    """Return the right answer as it is written."""
    if form.texts:
        return ", ".join(form.texts)
    labels = getattr(form.prompt.space, "labels", ())
    return ", ".join(label for label, gain in zip(labels, form.gains, strict=True) if gain == max(form.gains))


def plain_trainer(model: Any, chats: Chats, pad: int, arguments: Any) -> Trainer:
    """Return the trainer; `model` has adapters and its own output embeddings."""
    return Trainer(model=model, args=arguments, train_dataset=chats, data_collator=lambda rows: _padded(rows, pad))


def _padded(rows: Sequence[dict[str, list[int]]], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(row["input_ids"]) for row in rows)
    sizes = [len(row["input_ids"]) for row in rows]
    ids = torch.tensor([row["input_ids"] + [pad] * (width - size) for row, size in zip(rows, sizes, strict=True)])
    real = torch.arange(width)[None] < torch.tensor(sizes)[:, None]
    return {"input_ids": ids, "attention_mask": real.long(), "labels": ids.masked_fill(~real, _NO_LOSS)}
