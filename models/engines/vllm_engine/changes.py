"""What adapters change in the model that vLLM is about to run, checked before it starts, which takes a minute."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from models.engines.adapter_matrices import read_changes
from models.engines.local_folder import LOCAL, model_class
from models.engines.vllm_engine.lora_requests import UNCHANGED
from utilities.errors import UserError


def change_fields(base: Path, folders: Mapping[str, Path | None]) -> dict[str, Any]:
    """Return what vLLM's `AsyncEngineArgs` are told of the modules that adapters change, nothing without any.

    Left alone, vLLM prepares every module for changes, the vocabulary's projection too, which costs memory and breaks
    the scores of a prompt's tokens.

    Raises:
        UserError: an adapter cannot be read, belongs to another base than the weights in `base`, or changes what vLLM
            cannot.
    """
    found = [folder for folder in folders.values() if folder is not None]
    if not found:
        return {}
    outline = _outline(base)
    return {"lora_target_modules": sorted({name for folder in found for name in _changed_modules(folder, outline)})}


def _outline(base: Path) -> Any:
    """Return the model of a folder without its weights: names and sizes alone, the same for packed ones as for dense.

    vLLM passes over what an adapter changes in layers that its base lacks, and dies of matrices of another size.
    """
    try:
        config = AutoConfig.from_pretrained(base, **LOCAL)
        with torch.device("meta"):
            return model_class(config)(config)
    except (OSError, ValueError) as error:
        raise UserError(f"{base}: the model cannot be loaded: {' '.join(str(error).split())}") from error


def _changed_modules(folder: Path, outline: Any) -> set[str]:
    """Return the last parts of the names of the modules that an adapter changes."""
    modules = {name.rpartition(".")[2] for name in read_changes(folder, outline)}
    if UNCHANGED in modules:
        raise UserError(
            f"{folder}: the adapter changes {UNCHANGED}, which the vLLM engine cannot: train without it, merge it "
            "into its base (`python -m tuning.apply_adapter`), or set engine.name to transformers"
        )
    return modules
