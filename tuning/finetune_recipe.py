"""What a fine-tuning run is made of, read from a YAML file of tuning/recipes."""

from dataclasses import field, replace
from pathlib import Path
from typing import Any, Literal

from models.engines.model_registry import model_entry
from models.engines.settings import FROM_REGISTRY, EngineSettings
from models.settings import load_settings
from tuning.examples import Limits
from utilities.errors import UserError
from utilities.typed_yaml import build, checked, read_mapping

_SEEDS = 2**32  # NumPy takes no others.


@checked
class LoraSettings:
    """Low-rank adapters: `rank`, `alpha` (the delta is scaled by alpha / rank), `dropout`, and which layers."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: Literal["all-linear", "attention"] = "all-linear"

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1 or not 0 <= self.dropout < 1:
            raise ValueError("rank and alpha must be at least 1, dropout from 0 to below 1")


@checked
class OptimiserSettings:
    """AdamW: the highest learning rate, its schedule, the share of steps that warm up, and what holds it back."""

    learning_rate: float = 5e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = 0.05
    weight_decay: float = 0.0
    max_gradient_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or not 0 <= self.warmup < 1 or self.weight_decay < 0 or self.max_gradient_norm <= 0:
            raise ValueError(
                "learning_rate and max_gradient_norm must be above 0, weight_decay at least 0, warmup from 0 to below 1"
            )


@checked
class FinetuneRecipe:
    """A run: `batch` examples are computed at a time, `accumulate` batches make a step.

    `model` is an entry of models/engines/model_registry.yaml, whose ways of answering are trained. `base` is how its
    weights are held: in `dtype`, or in 4 bits (`nf4`, QLoRA). Every `evaluate_every` steps the held-out rows, at most
    `held_out` of them, are scored and the run can be gone on with from there. `keep` says whether the adapter of the
    end or the one with the lowest held-out loss or the highest held-out score is kept. `size` is N where rows are given
    as the folder that `python -m tuning.select_data` made: train_N.jsonl is taken.
    """

    model: str
    size: int = 0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    base: Literal["dense", "nf4"] = "dense"
    lora: LoraSettings = field(default_factory=LoraSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    limits: Limits = field(default_factory=Limits)
    epochs: float = 1.0
    batch: int = 4
    accumulate: int = 4
    group_by_length: bool = True
    gradient_checkpointing: bool = False
    evaluate_every: int = 50
    held_out: int = 128
    keep: Literal["last", "best_loss", "best_score"] = "best_loss"
    distributed: Literal["none", "fsdp"] = "none"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "accumulate", "evaluate_every", "held_out"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.size < 0:
            raise ValueError(f"size is {self.size}; it must be 0 or the N of a file train_N.jsonl")
        if self.epochs <= 0:
            raise ValueError(f"epochs is {self.epochs}; it must be above 0")
        if not 0 <= self.seed < _SEEDS:
            raise ValueError(f"seed is {self.seed}; it must be from 0 to {_SEEDS - 1}")
        model_entry(self.model)


def read_recipe(path: Path, **given: Any) -> FinetuneRecipe:
    """Read a recipe; `given` replaces what it says, and it what the recipe says that it is `based_on`.

    Raises:
        UserError: a file cannot be read, or holds an unknown key or a value that does not fit.
    """
    values = read_mapping(path, "the recipe", "name a file of tuning/recipes")
    based_on = values.pop("based_on", None)
    if based_on is not None:
        if Path(str(based_on)).name != str(based_on):
            raise UserError(f"{path}: based_on is {based_on!r}; name a file of the same folder, without one")
        values = {**read_mapping(path.parent / str(based_on), f"what {path} is based on", "mend its name"), **values}
    return build(FinetuneRecipe, {**values, **given}, f"{path}: ", "key")


def engine_settings(recipe: FinetuneRecipe) -> EngineSettings:
    """Return the engine's settings with the recipe's model: they say in which way each kind of question is answered."""
    entry = model_entry(recipe.model)
    known = {name: getattr(entry, name) for name in FROM_REGISTRY}
    return replace(load_settings().engine, model=recipe.model, **known)
