"""The config of a LoRA adapter in peft's folder layout: adapter_config.json beside adapter_model.safetensors."""

import math
import re
from collections.abc import Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any, TypeVar

from models.engines.damaged_files import DamagedFileError, read_model_json
from models.engines.safetensors_header import Tensor, read_tensors
from utilities.errors import UserError
from utilities.typed_yaml import Positive, build, checked

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
_PICKLED = "adapter_model.bin"

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


def check_adapter(folder: Path, remedy: str) -> tuple[Tensor, ...]:
    """Check both files of an adapter; return its tensors.

    Raises:
        UserError: there is no adapter, with the remedy; or it has an option that is not supported.
        DamagedFileError: a file is damaged or of another kind.
    """
    missing = [name for name in (CONFIG, TENSORS) if not (folder / name).exists()]
    if missing and (folder / _PICKLED).exists():
        problem = f"holds pickled weights only ({_PICKLED}), no {TENSORS}"
        raise DamagedFileError(folder, problem, "load the adapter with peft and save it again as safetensors")
    if missing:
        raise UserError(f"there is no adapter in {folder} (without {' and '.join(missing)}): {remedy}")
    read_adapter_config(folder)
    return read_tensors(folder / TENSORS)


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Read the config of the adapter in `folder`.

    Raises:
        UserError: it has an option that is not supported.
        DamagedFileError: it cannot be read.
    """
    path = folder / CONFIG
    values = read_model_json(path)
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
