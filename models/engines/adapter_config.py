"""The config of a LoRA adapter in peft's folder layout: adapter_config.json beside adapter_model.safetensors."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any, TypeVar

from utilities.errors import UserError
from utilities.typed_yaml import Positive, build, checked

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"

MATRIX = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
"""The name that peft gives each of the two matrices of a module's change."""

_WITHOUT_EFFECT: tuple[object, ...] = (None, False, "none", [], {})
_REFUSED = (
    "alora_invocation_tokens", "arrow_config", "bias", "fan_in_fan_out", "kasa_config", "layer_replication",
    "lora_bias", "megatron_config", "modules_to_save", "monteclora_config", "target_parameters",
    "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora", "velora_config",
)  # fmt: skip
"""Options of peft that compute more than a weight plus the product of two small matrices."""
_INITIAL = (None, True, False, "gaussian", "eva", "orthogonal")
"""Initialisations that leave the base's weights unchanged; an adapter of any other fits a changed base only."""


T = TypeVar("T", int, float)
Pattern = re.Pattern[str]


@checked
class AdapterConfig:
    """The rank and the scale of each module's change, from the fields of peft's config of the same names.

    `rank_pattern` and `alpha_pattern` give some modules another rank or alpha; a key is a regular expression that the
    end of a module's name matches (`peft.utils.other.get_pattern_key`). With `use_rslora` alpha is divided by the
    square root of the rank (Kalajdzievski 2023, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA").
    """

    r: Positive
    lora_alpha: float
    rank_pattern: Mapping[Pattern, Positive] = field(default_factory=dict)
    alpha_pattern: Mapping[Pattern, float] = field(default_factory=dict)
    use_rslora: bool = False

    def rank_of(self, module: str) -> int:
        """Return the rank of a module's change."""
        return _of_module(self.rank_pattern, module, self.r)

    def scale_of(self, module: str) -> float:
        """Return the factor of the product of a module's two matrices."""
        rank = self.rank_of(module)
        return _of_module(self.alpha_pattern, module, self.lora_alpha) / (math.sqrt(rank) if self.use_rslora else rank)

    @property
    def highest_rank(self) -> int:
        """The highest rank of any module."""
        return max([self.r, *self.rank_pattern.values()])


def _of_module(patterns: Mapping[Pattern, T], module: str, default: T) -> T:
    found = (value for key, value in patterns.items() if re.match(rf"(.*\.)?({key.pattern})$", module))
    return next(found, default)


def matrix_name(module: str, side: str) -> str:
    """Return the name of a module's matrix A or B, as `MATRIX` reads it."""
    return f"base_model.model.{module}.lora_{side}.weight"


def holds_adapter(folder: Path) -> bool:
    """Return whether a folder has both files of an adapter."""
    return all((folder / name).is_file() for name in (CONFIG, TENSORS))


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Read the config of the adapter in `folder`.

    Raises:
        UserError: it cannot be read, or has an option that is not supported.
    """
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise TypeError(f"it holds a {type(values).__name__}")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: the adapter's config cannot be read ({error}): copy the adapter again") from error
    _check_options(path, values)
    names = [each.name for each in fields(AdapterConfig)]
    return build(AdapterConfig, {name: values[name] for name in names if values.get(name) is not None}, f"{path}: ")


def _check_options(path: Path, values: Mapping[str, Any]) -> None:
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
