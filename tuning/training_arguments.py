"""A recipe in the words of the Hugging Face trainer."""

import math
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from tuning.finetune_recipe import FinetuneRecipe
from tuning.processes import launched, process_count
from utilities.errors import UserError

_KEPT: dict[str, dict[str, Any]] = {
    "last": {},
    "best_loss": {"load_best_model_at_end": True, "metric_for_best_model": "loss", "greater_is_better": False},
    "best_score": {"load_best_model_at_end": True, "metric_for_best_model": "score", "greater_is_better": True},
}
# Dense weights are read by one process and sent to the others; `accelerate launch` says so to what loads them, and this
# to what spreads them. Weights in 4 bits are read by every process.
_SPREAD: dict[str, Any] = {"fsdp": True, "fsdp_config": {"version": 2, "cpu_ram_efficient_loading": True}}
_LINES_PER_RUN = 100


def steps_of(recipe: FinetuneRecipe, rows: int, processes: int = 1) -> int:
    """Return how many optimiser steps a run of so many rows has."""
    batches = math.ceil(rows / (recipe.batch * processes))
    return max(1, math.ceil(recipe.epochs * math.ceil(batches / recipe.accumulate)))


def training_arguments(recipe: FinetuneRecipe, work: Path, rows: int) -> TrainingArguments:
    """Return the trainer's arguments; checkpoints, with all that resuming needs, go to `work`.

    Raises:
        UserError: the recipe is one for several processes, and this is one that stands alone.
    """
    _check_launched(recipe)
    steps = steps_of(recipe, rows, process_count())
    optimiser = recipe.optimiser
    return TrainingArguments(
        output_dir=str(work),
        seed=recipe.seed,
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch,
        per_device_eval_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulate,
        learning_rate=optimiser.learning_rate,
        lr_scheduler_type=optimiser.schedule,
        warmup_steps=round(optimiser.warmup * steps),
        weight_decay=optimiser.weight_decay,
        max_grad_norm=optimiser.max_gradient_norm,
        bf16=recipe.dtype == "bfloat16",
        fp16=recipe.dtype == "float16",
        gradient_checkpointing=recipe.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if recipe.gradient_checkpointing else None,
        remove_unused_columns=False,
        label_names=[],
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        **(_SPREAD if recipe.distributed == "fsdp" else {}),
        **_intervals(recipe, steps),
        **_KEPT[recipe.keep],
    )


def _check_launched(recipe: FinetuneRecipe) -> None:
    if recipe.distributed == "fsdp" and not launched():
        raise UserError(
            "recipe key distributed: fsdp wants a process for each GPU: start it by `accelerate launch "
            "--config_file tuning/recipes/fsdp_8_gpus.yaml -m tuning.finetune ...`, or set it to none"
        )


def _intervals(recipe: FinetuneRecipe, steps: int) -> dict[str, Any]:
    """Return when a run measures, keeps and tells."""
    return {
        "eval_on_start": True,
        "eval_strategy": "steps",
        "eval_steps": min(recipe.evaluate_every, steps),
        "save_strategy": "steps",
        "save_steps": min(recipe.evaluate_every, steps),
        "save_total_limit": 2,
        "logging_steps": max(1, steps // _LINES_PER_RUN),
        # The filter would write a mean of other losses for one that is no number, and hide that the run has diverged.
        "logging_nan_inf_filter": False,
    }
