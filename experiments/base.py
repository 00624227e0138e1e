"""The settings that the rows of a table are laid over: those that the package would run with now."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.engines.model_registry import DEFAULT_MODEL
from models.engines.settings import NO_ADAPTER
from models.settings import ADAPTER_VARIABLE, FILE_VARIABLE, MODEL_VARIABLE, WEIGHTS_VARIABLE, settings_file
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.typed_yaml import read_mapping

_OF_ONE_MODEL = ("weights", "adapter", "adapters", "name", "dtype", "chat_template", "choice", "selection", "spans")
_OF_ITS_SIZE = ("token_budget", "max_prompt_tokens", "vllm")


@dataclass(frozen=True)
class Base:
    """Plain settings, and what a reader calls them."""

    values: Mapping[str, Any]
    name: str


def base_settings(environment: Mapping[str, str] = os.environ) -> Base:
    """Return the settings file with what SHOPALIGN_MODEL, SHOPALIGN_WEIGHTS and SHOPALIGN_ADAPTER replace in it.

    Raises:
        UserError: the file cannot be read, or its `engine` is no mapping.
    """
    path = settings_file(environment)
    values = read_mapping(path, "the settings", f"name a file by {FILE_VARIABLE}")
    engine = values.get("engine") or {}
    if not isinstance(engine, dict):
        raise UserError(f"{path}: engine holds settings of its own, not {engine!r}")
    named = {"model": MODEL_VARIABLE, "weights": WEIGHTS_VARIABLE, "adapter": ADAPTER_VARIABLE}
    given = {key: environment[variable] for key, variable in named.items() if environment.get(variable)}
    # Other weights come without an adapter unless one is named.
    without = {"adapter": NO_ADAPTER} if "weights" in given else {}
    name = _without_folders(path) + "".join(f", {key} {_without_folders(value)}" for key, value in given.items())
    return Base({**values, "engine": {**engine, **without, **given}}, name)


def inherited(engine: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row takes over of an engine's settings; another model or other weights bring what is theirs."""
    if "model" in row and row["model"] != engine.get("model", DEFAULT_MODEL):
        return {key: value for key, value in engine.items() if key not in (*_OF_ONE_MODEL, *_OF_ITS_SIZE)}
    if "model" in row:
        return {key: value for key, value in engine.items() if key not in ("weights", "adapter", "adapters")}
    if "weights" in row and row["weights"] != engine.get("weights"):
        return {key: value for key, value in engine.items() if key not in ("adapter", "adapters")}
    return dict(engine)


def _without_folders(path: Path | str) -> str:
    """Return a path as it may be published: from the repository's root, else its last part."""
    path = Path(path)
    if path.is_relative_to(ROOT):
        return path.relative_to(ROOT).as_posix()
    return path.name if path.is_absolute() else path.as_posix()
