"""Settings of a table's rows: the user's settings, overridden by the table and then by the row."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.table import Row, Table
from models.engines.model_registry import DEFAULT_MODEL, model_entry
from models.engines.settings import AUTO, NO_ADAPTER
from models.settings import ADAPTER_VARIABLE, FILE_VARIABLE, MODEL_VARIABLE, WEIGHTS_VARIABLE, settings_file
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.typed_yaml import read_mapping

_ADAPTERS = "{adapters}"
_OF_WEIGHTS = ("adapter", "adapters")
_OF_MODEL = ("weights", *_OF_WEIGHTS)
_TUNED_FOR_MODEL = ("name", "dtype", "chat_template", "choice", "selection", "spans")
_TUNED_FOR_SIZE = ("token_budget", "max_prompt_tokens", "vllm")


@dataclass(frozen=True)
class Base:
    """The settings that rows override, as plain values, and their name for readers."""

    values: Mapping[str, Any]
    name: str


def base_settings(environment: Mapping[str, str] = os.environ) -> Base:
    """Return the settings file, overridden by SHOPALIGN_MODEL, SHOPALIGN_WEIGHTS and SHOPALIGN_ADAPTER.

    Raises:
        UserError: the file cannot be read, or its `engine` is not a mapping.
    """
    path = settings_file(environment)
    values = read_mapping(path, "the settings", f"name a file by {FILE_VARIABLE}")
    engine = values.get("engine") or {}
    if not isinstance(engine, dict):
        raise UserError(f"{path}: engine must be a block of settings, not {engine!r}")
    variables = {"model": MODEL_VARIABLE, "weights": WEIGHTS_VARIABLE, "adapter": ADAPTER_VARIABLE}
    given = {key: environment[variable] for key, variable in variables.items() if environment.get(variable)}
    # The file's adapter does not fit other weights.
    without = {"adapter": NO_ADAPTER} if "weights" in given else {}
    name = public_path(path) + "".join(f", {key} {public_path(value)}" for key, value in given.items())
    return Base({**values, "engine": {**engine, **without, **given}}, name)


def inherited(engine: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the engine settings that a row inherits, without those of a model or weights that it replaces."""
    dropped: tuple[str, ...] = ()
    if "model" in row:
        other = row["model"] != engine.get("model", DEFAULT_MODEL)
        dropped = (*_OF_MODEL, *_TUNED_FOR_MODEL, *_TUNED_FOR_SIZE) if other else _OF_MODEL
    elif "weights" in row and row["weights"] != engine.get("weights"):
        dropped = _OF_WEIGHTS
    return {key: value for key, value in engine.items() if key not in dropped}


def settings_of(table: Table, row: Row, base: Mapping[str, Any], adapters: Path) -> dict[str, Any]:
    """Return the complete settings of a row, with `{adapters}` replaced by the folder.

    A dtype that would be chosen by speed is float32, since a table has to give the same figures on every machine.
    """
    filled: dict[str, Any] = _filled(_merged(table.settings, row.settings or {}), adapters)
    engine = filled.get("engine") or {}
    below = inherited(base.get("engine") or {}, engine) if isinstance(engine, dict) else {}
    complete = _merged({**base, "engine": below}, filled)
    named = complete.get("engine")
    if isinstance(named, dict) and named.get("dtype", _dtype_of(named.get("model", DEFAULT_MODEL))) == AUTO:
        named["dtype"] = "float32"
    return complete


def _dtype_of(model: object) -> str:
    try:
        return model_entry(str(model)).dtype
    except UserError:
        # The check of the row's settings names the mistake.
        return ""


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _filled(value: Any, adapters: Path) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, adapters) for key, each in value.items()}
    return value.replace(_ADAPTERS, str(adapters)) if isinstance(value, str) else value


def public_path(path: Path | str) -> str:
    """Return a path without the user's folders: relative to the repository, or only the name if it lies elsewhere."""
    path = Path(path)
    if path.is_relative_to(ROOT):
        return path.relative_to(ROOT).as_posix()
    return path.name if path.is_absolute() else path.as_posix()
