"""Folders of a model and an adapter with whole files and few numbers, written without torch; no engine runs them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

NAMES = ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight")
INDEX = "model.safetensors.index.json"
MODULE = "base_model.model.model.layers.0.self_attn.q_proj"


def write_model(folder: Path) -> Path:
    """Write a dense model with one safetensors file and a tokenizer; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    write_json(folder / "generation_config.json", {"eos_token_id": 0})
    write_json(folder / "tokenizer.json", {"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}})
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    write_tensors(folder / "model.safetensors", NAMES)
    return folder


def in_shards(folder: Path) -> Path:
    """Replace the model's file by a shard for each tensor and an index; return the folder."""
    (folder / "model.safetensors").unlink()
    placed = {name: f"model-0000{number}-of-00003.safetensors" for number, name in enumerate(NAMES, start=1)}
    for name, file in placed.items():
        write_tensors(folder / file, [name])
    write_json(folder / INDEX, {"metadata": {}, "weight_map": placed})
    return folder


def packed(folder: Path) -> Path:
    """Replace the model's tensors by those of a layer with 4-bit weights; return the folder."""
    layer = "model.layers.0.mlp.up_proj"
    write_tensors(folder / "model.safetensors", [*NAMES, *(f"{layer}.{part}" for part in ("qweight", "scales"))])
    return folder


def write_adapter(folder: Path, value: int = 1) -> Path:
    """Write a LoRA adapter of rank 2 for one layer, all of whose numbers are `value`; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "adapter_config.json", {"peft_type": "LORA", "r": 2, "lora_alpha": 4})
    shapes = {f"{MODULE}.lora_A.weight": (2, 4), f"{MODULE}.lora_B.weight": (4, 2)}
    tensors = {name: np.full(shape, value, np.float32) for name, shape in shapes.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def write_tensors(path: Path, names: Sequence[str]) -> None:
    """Write a safetensors file with a small matrix of each name."""
    save_file({name: np.ones((4, 4), np.float32) for name in names}, path, metadata={"format": "pt"})


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content), encoding="utf-8")
