"""LoRA adapters as vLLM takes them: room for them when it starts, a number for each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.engines.adapter_config import read_adapter_config
from utilities.errors import UserError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # vllm.config.lora.MaxLoRARanks
"""The ranks that vLLM makes room for: an adapter of another rank is run with the next higher one."""
UNCHANGED = "lm_head"
"""The module whose changes vLLM mixes up among a prompt's tokens."""


def numbered(folders: Mapping[str, Path | None]) -> dict[str, int]:
    """Return a number for each adapter by its name, from 1 in their order; the base without one has none."""
    names = (name for name, folder in folders.items() if folder is not None)
    return {name: number for number, name in enumerate(names, start=1)}


def adapter_fields(folders: Mapping[str, Path | None]) -> dict[str, Any]:
    """Return what vLLM's `AsyncEngineArgs` are told of the room for adapters, nothing without any.

    Each has a place of its own on the device, so that none is ever loaded again.

    Raises:
        UserError: an adapter's config cannot be read, or its rank is higher than vLLM has.
    """
    rooms = [room_for(folder) for folder in folders.values() if folder is not None]
    return {"enable_lora": True, "max_loras": len(rooms), "max_lora_rank": max(rooms)} if rooms else {}


def room_for(folder: Path) -> int:
    """Return the least of vLLM's ranks that the adapter in `folder` fits.

    Raises:
        UserError: its config cannot be read, or its rank is higher than all of these.
    """
    highest = read_adapter_config(folder).highest_rank
    fitting = next((rank for rank in RANKS if rank >= highest), None)
    if fitting is None:
        raise UserError(
            f"{folder} is an adapter of rank {highest}; vLLM takes up to {RANKS[-1]}: merge it into its base "
            "(`python -m tuning.apply_adapter`) and set engine.weights to the result"
        )
    return fitting
