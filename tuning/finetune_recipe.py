"""The recipe of a fine-tuning run: a YAML file of tuning/recipes, and its translation for the Hugging Face trainer."""

import math
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import torch
from pydantic import Field

from models.engines.model_registry import model_entry
from models.engines.settings import FROM_REGISTRY, EngineSettings
from models.settings import load_settings
from tuning.examples import Limits
from tuning.launcher import launched, process_count
from utilities.errors import UserError
from utilities.typed_yaml import NotNegative, Positive, Whole, build, checked, read_mapping

if TYPE_CHECKING:
    from transformers import TrainingArguments

AboveZero = Annotated[float, Field(gt=0)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
_HIGHEST_SEED = 2**32 - 1  # NumPy's
_KEPT: dict[str, dict[str, Any]] = {
    "last": {},
    "best_loss": {"load_best_model_at_end": True, "metric_for_best_model": "loss", "greater_is_better": False},
    "best_score": {"load_best_model_at_end": True, "metric_for_best_model": "score", "greater_is_better": True},
}
# One process reads dense weights and sends them to the others: `accelerate launch` sets this for the loading, and this
# line for the sharding. Every process reads weights in 4 bits.
_SHARDED: dict[str, Any] = {"fsdp": True, "fsdp_config": {"version": 2, "cpu_ram_efficient_loading": True}}
_LINES_PER_RUN = 100


@checked
class LoraSettings:
    """Low-rank adapters: `rank`, `alpha` (the delta is scaled by alpha / rank), `dropout`, and the adapted layers."""

    rank: Positive = 16
    alpha: Positive = 32
    dropout: BelowOne = 0.0
    targets: Literal["all-linear", "attention"] = "all-linear"


@checked
class OptimiserSettings:
    """AdamW: the peak learning rate, its schedule, the share of warm-up steps, weight decay, gradient clipping."""

    learning_rate: AboveZero = 5e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: BelowOne = 0.05
    weight_decay: NotNegative = 0.0
    max_gradient_norm: AboveZero = 1.0


@checked
class FinetuneRecipe:
    """A fine-tuning run; a step takes `accumulate` batches of `batch` examples.

    Attributes:
        model: an entry of models/engines/model_registry.yaml, whose ways of answering are trained.
        size: N of the file train_N.jsonl, where rows are given as a folder of `python -m tuning.select_data`.
        base: the weights that the adapters are trained on: `dense`, or in 4 bits (`nf4`, QLoRA).
        evaluate_every: steps between two evaluations on at most `held_out` rows; each saves a checkpoint.
        keep: the last adapter, or the one with the lowest held-out loss or the highest held-out score.
        distributed: `fsdp` shards the model over the processes of a launcher.
    """

    model: str
    size: Whole = 0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    base: Literal["dense", "nf4"] = "dense"
    lora: LoraSettings = field(default_factory=LoraSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    limits: Limits = field(default_factory=Limits)
    epochs: AboveZero = 1.0
    batch: Positive = 4
    accumulate: Positive = 4
    group_by_length: bool = True
    gradient_checkpointing: bool = False
    evaluate_every: Positive = 50
    held_out: Positive = 128
    keep: Literal["last", "best_loss", "best_score"] = "best_loss"
    distributed: Literal["none", "fsdp"] = "none"
    seed: Annotated[int, Field(ge=0, le=_HIGHEST_SEED)] = 0

    def __post_init__(self) -> None:
        model_entry(self.model)


def read_recipe(path: Path, **given: Any) -> FinetuneRecipe:
    """Read a recipe, whose values `given` replaces, or raise a `UserError` if a key or a value is not valid."""
    values = read_mapping(path, "the recipe", "name a file of tuning/recipes")
    return build(FinetuneRecipe, {**values, **given}, f"{path}: ", "key")


def engine_settings(recipe: FinetuneRecipe) -> EngineSettings:
    """Return the engine's settings for the recipe's model, with its ways of answering each kind of question."""
    entry = model_entry(recipe.model)
    known = {name: getattr(entry, name) for name in FROM_REGISTRY}
    return replace(load_settings().engine, model=recipe.model, **known)


def steps_of(recipe: FinetuneRecipe, rows: int, processes: int = 1) -> int:
    """Return the number of optimiser steps of a run over `rows` rows."""
    batches = math.ceil(rows / (recipe.batch * processes))
    return max(1, math.ceil(recipe.epochs * math.ceil(batches / recipe.accumulate)))


def training_arguments(recipe: FinetuneRecipe, work: Path, rows: int) -> "TrainingArguments":
    """Return the trainer's arguments; checkpoints, with everything that resuming needs, go to `work`.

    Raises:
        UserError: the recipe needs several processes, and no launcher started this one.
    """
    if recipe.distributed == "fsdp" and not launched():
        raise UserError(
            "recipe key distributed: fsdp needs a process for each GPU: start it by `accelerate launch "
            "--config_file tuning/recipes/fsdp_8_gpus.yaml -m tuning.finetune ...`, or set it to none"
        )
    # Imported here, where the lines that it prints go to the log file.
    from transformers import TrainingArguments

    steps, optimiser = steps_of(recipe, rows, process_count()), recipe.optimiser
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
        **(_SHARDED if recipe.distributed == "fsdp" else {}),
        **_intervals(recipe, steps),
        **_KEPT[recipe.keep],
    )


def _intervals(recipe: FinetuneRecipe, steps: int) -> dict[str, Any]:
    """Return the intervals at which a run evaluates, saves and logs."""
    interval = min(recipe.evaluate_every, steps)
    return {
        "eval_on_start": True,
        "eval_strategy": "steps",
        "eval_steps": interval,
        "save_strategy": "steps",
        "save_steps": interval,
        "save_total_limit": 2,
        "logging_steps": max(1, steps // _LINES_PER_RUN),
        # The filter would log the mean of other losses for a NaN, and hide that the run has diverged.
        "logging_nan_inf_filter": False,
    }
