"""Random LoRA adapters in peft's folder layout, large enough to change what a tiny model answers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

MODULES = ("self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")


def save_tiny_adapter(
    folder: Path,
    base: Path,
    seed: int,
    *,
    rank: int = 4,
    ranks: Mapping[str, int] | None = None,
    modules: tuple[str, ...] = MODULES,
    **config: Any,
) -> Path:
    """Save an adapter for the model in `base` and return its folder.

    `ranks` gives modules, by how their names end, a rank of their own; `config` adds fields to adapter_config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, weight in load_file(base / "model.safetensors").items():
        module = name.removesuffix(".weight")
        if module.endswith(modules):
            own = next((size for end, size in (ranks or {}).items() if module.endswith(end)), rank)
            outputs, inputs = weight.shape
            tensors[f"base_model.model.{module}.lora_A.weight"] = torch.randn(own, inputs, generator=random) / 4
            tensors[f"base_model.model.{module}.lora_B.weight"] = torch.randn(outputs, own, generator=random) / 4
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    values = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": [name.rpartition(".")[2] for name in modules],
        "rank_pattern": dict(ranks or {}),
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps(values), encoding="utf-8")
    return folder
