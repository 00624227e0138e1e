"""The settings of a LoRA adapter in peft's folder layout: adapter_config.json beside adapter_model.safetensors."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utilities.errors import UserError

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"

MATRIX = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
"""How peft names the two matrices of a module's change."""

_WITHOUT_EFFECT: tuple[object, ...] = (None, False, "none", [], {})
_REFUSED = (
    "alora_invocation_tokens",
    "arrow_config",
    "bias",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "modules_to_save",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "velora_config",
)
"""What peft computes with beside a base's weight and the product of two small matrices."""
_INITIAL = (None, True, False, "gaussian", "eva", "orthogonal")
"""Ways to begin that leave the base's weights as they are; after the others an adapter fits a changed base only."""


@dataclass(frozen=True)
class AdapterConfig:
    """What peft's LoRA config says of the size of each module's change.

    `rank_pattern` and `alpha_pattern` give modules their own; a key is a regular expression that the end of a module's
    name matches (`peft.utils.other.get_pattern_key`). `stabilised` divides alpha by the square root of the rank
    (Kalajdzievski 2023, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA"), not by the rank.
    """

    rank: int
    alpha: float
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    stabilised: bool

    def rank_of(self, module: str) -> int:
        """Return the rank of a module's change."""
        return self.rank_pattern.get(_key(self.rank_pattern, module), self.rank)

    def scale_of(self, module: str) -> float:
        """Return what the product of a module's two matrices is multiplied by."""
        rank = self.rank_of(module)
        alpha = self.alpha_pattern.get(_key(self.alpha_pattern, module), self.alpha)
        return alpha / (math.sqrt(rank) if self.stabilised else rank)

    @property
    def highest_rank(self) -> int:
        """The highest rank of any module."""
        return max([self.rank, *self.rank_pattern.values()])


def matrix_name(module: str, side: str) -> str:
    """Return the name of a module's matrix A or B, as `MATRIX` reads it."""
    return f"base_model.model.{module}.lora_{side}.weight"


def holds_adapter(folder: Path) -> bool:
    """Tell whether both files of an adapter are there."""
    return all((folder / name).is_file() for name in (CONFIG, TENSORS))


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Read the config of the adapter in `folder`.

    Raises:
        UserError: it cannot be read, or asks for what is not computed here.
    """
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise TypeError(f"it holds a {type(values).__name__}")
        _check(path, values)
        return AdapterConfig(
            rank=_positive(values["r"]),
            alpha=float(values["lora_alpha"]),
            rank_pattern={_pattern(key): _positive(rank) for key, rank in (values.get("rank_pattern") or {}).items()},
            alpha_pattern={_pattern(key): float(each) for key, each in (values.get("alpha_pattern") or {}).items()},
            stabilised=bool(values.get("use_rslora")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, re.error) as error:
        raise UserError(
            f"{path}: the adapter's config cannot be read ({type(error).__name__}: {error}): copy the adapter again"
        ) from error


def _check(path: Path, values: Mapping[str, Any]) -> None:
    kind = values.get("peft_type")
    if kind != "LORA":
        raise UserError(f"{path}: peft_type is {kind!r}; only 'LORA' is supported: train such an adapter")
    for name in _REFUSED:
        if values.get(name) not in _WITHOUT_EFFECT:
            raise UserError(
                f"{path}: {name} is {values[name]!r}, which is not supported: train without it, "
                "or merge the adapter into its base with peft and set engine.weights to the result"
            )
    initial = values.get("init_lora_weights")
    if initial not in _INITIAL:
        raise UserError(
            f"{path}: init_lora_weights is {initial!r}, which changes the base as well, so it is not supported: "
            "convert the adapter with peft (path_initial_model_for_weight_conversion)"
        )


def _positive(rank: Any) -> int:
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise ValueError(f"a rank is {rank!r}; it must be a positive number")
    return rank


def _pattern(key: str) -> str:
    re.compile(key)
    return key


def _key(patterns: Mapping[str, object], module: str) -> str:
    return next((key for key in patterns if re.match(rf"(.*\.)?({key})$", module)), module)
