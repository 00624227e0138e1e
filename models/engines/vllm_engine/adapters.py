"""LoRA adapters as vLLM takes them: the arguments that vLLM starts with, and the check of each adapter before that."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.engines.adapter_config import read_adapter_config
from utilities.errors import UserError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # vllm.config.lora.MaxLoRARanks
"""The ranks that vLLM reserves memory for; it runs an adapter of another rank at the next higher one."""
UNCHANGED = "lm_head"
"""The module that no adapter may change: vLLM then returns wrong log-probabilities for a prompt's tokens."""


def adapter_fields(base: Path, folders: Mapping[str, Path | None]) -> dict[str, Any]:
    """Return the fields of vLLM's `AsyncEngineArgs` for adapters of the model in `base`; none without adapters.

    Every adapter gets a slot on the device, so vLLM never loads one again. vLLM prepares the named modules alone; by
    default it prepares all, `UNCHANGED` included.

    Raises:
        UserError: an adapter cannot be read, fits another base, has a rank above vLLM's, or changes `UNCHANGED`.
    """
    found = [folder for folder in folders.values() if folder is not None]
    if not found:
        return {}
    rank = max(reserved_rank(folder) for folder in found)
    outline = _outline(base)
    modules = {name for folder in found for name in _changed_modules(folder, outline)}
    return {
        "enable_lora": True,
        "max_loras": len(found),
        "max_lora_rank": rank,
        "lora_target_modules": sorted(modules),
    }


def reserved_rank(folder: Path) -> int:
    """Return the lowest of `RANKS` that holds the adapter in `folder`.

    Raises:
        UserError: its config cannot be read, or its rank is higher than all of them.
    """
    highest = read_adapter_config(folder).highest_rank
    fitting = next((rank for rank in RANKS if rank >= highest), None)
    if fitting is None:
        raise UserError(
            f"{folder} is an adapter of rank {highest}; vLLM takes up to {RANKS[-1]}: merge it into its base "
            "(`python -m tuning.apply_adapter`) and set engine.weights to the result"
        )
    return fitting


def _outline(base: Path) -> Any:
    """Return the model of a folder without weights: the names and sizes of its modules, as if no weight were packed.

    vLLM itself ignores changes of layers that the base lacks, and dies of matrices of another size.
    """
    # Imported here, because the preflight checks ranks without torch.
    import torch
    from transformers import AutoConfig

    from models.engines.local_folder import LOCAL, model_class

    try:
        config = AutoConfig.from_pretrained(base, **LOCAL)
        with torch.device("meta"):
            return model_class(config)(config)
    except (OSError, ValueError) as error:
        raise UserError(f"{base}: the model cannot be loaded: {' '.join(str(error).split())}") from error


def _changed_modules(folder: Path, outline: Any) -> set[str]:
    """Return the last parts of the names of the modules that an adapter changes."""
    from models.engines.adapter_matrices import read_changes

    modules = {name.rpartition(".")[2] for name in read_changes(folder, outline)}
    if UNCHANGED in modules:
        raise UserError(
            f"{folder}: the adapter changes {UNCHANGED}, which the vLLM engine cannot: train without it, merge it "
            "into its base (`python -m tuning.apply_adapter`), or set engine.name to transformers"
        )
    return modules
