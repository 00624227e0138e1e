"""Writes a Llama with random weights in AutoAWQ's format, to measure speed and memory."""

import shutil
from functools import partial
from pathlib import Path

from benchmarks.common import Json
from models.engines.model_registry import AWQ_GROUP, ModelEntry, ModelShape
from utilities.errors import UserError
from utilities.files import write_json

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_SPARE_DISK = 1.02


def write_random_checkpoint(folder: Path, entry: ModelEntry, tokenizer: Path) -> None:
    """Write random weights in AutoAWQ's GEMM format, and another model's tokenizer; a finished folder is kept.

    Raises:
        UserError: the disk is too small.
    """
    if (folder / "config.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < entry.weight_bytes * _SPARE_DISK:
        raise UserError(
            f"{folder}: {entry.weight_bytes / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free; give --layers"
        )
    _write_weights(folder, entry.shape)
    for name in _TOKENIZER_FILES:
        if (tokenizer / name).is_file():
            shutil.copy(tokenizer / name, folder / name)
    write_json(folder / "generation_config.json", {"eos_token_id": 0})
    write_json(folder / "config.json", _config(entry))


def _write_weights(folder: Path, shape: ModelShape) -> None:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    half = partial(torch.randn, dtype=torch.float16)
    width = shape.hidden_size
    ends = {
        "model.embed_tokens.weight": half(shape.vocabulary, width),
        "lm_head.weight": half(shape.vocabulary, width) * width**-0.5,
        "model.norm.weight": torch.ones(width, dtype=torch.float16),
    }
    shards = {"model-ends.safetensors": ends}
    layer = _random_layer(shape)
    for index in range(shape.layers):
        named = {f"model.layers.{index}.{name}": tensor for name, tensor in layer.items()}
        shards[f"model-layer-{index:03d}.safetensors"] = named
    for name, tensors in shards.items():
        save_file(tensors, folder / name, metadata={"format": "pt"})
    index_map = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": index_map})


def _random_layer(shape: ModelShape) -> Json:
    """Return the tensors of one layer; all layers share them, as only shape and format matter."""
    import torch

    hidden, inner = shape.hidden_size, shape.intermediate_size
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    sizes = {
        "self_attn.q_proj": (hidden, queries),
        "self_attn.k_proj": (hidden, keys),
        "self_attn.v_proj": (hidden, keys),
        "self_attn.o_proj": (queries, hidden),
        "mlp.gate_proj": (hidden, inner),
        "mlp.up_proj": (hidden, inner),
        "mlp.down_proj": (inner, hidden),
    }
    norms = ("input_layernorm.weight", "post_attention_layernorm.weight")
    tensors: Json = {name: torch.ones(hidden, dtype=torch.float16) for name in norms}
    for name, size in sizes.items():
        tensors.update({f"{name}.{part}": tensor for part, tensor in _random_matrix(*size).items()})
    return tensors


def _random_matrix(inputs: int, outputs: int) -> Json:
    """Return [inputs, outputs] packed by AutoAWQ: eight columns per int32, a zero point and a scale per group."""
    import torch

    def packed(rows: int) -> torch.Tensor:
        return torch.randint(-(2**31), 2**31, (rows, outputs // 8), dtype=torch.int32)

    # The difference of two uniform numbers from 0 to 15 has a standard deviation of 6.5.
    scales = torch.full((inputs // AWQ_GROUP, outputs), inputs**-0.5 / 6.5, dtype=torch.float16)
    return {"qweight": packed(inputs), "qzeros": packed(inputs // AWQ_GROUP), "scales": scales}


def _config(entry: ModelEntry) -> Json:
    shape = entry.shape
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_size,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": entry.context_length,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "tie_word_embeddings": shape.tied_embeddings,
        "bos_token_id": 1,
        "eos_token_id": 0,
        "torch_dtype": "float16",
        "quantization_config": {
            "quant_method": "awq",
            "bits": 4,
            "group_size": AWQ_GROUP,
            "zero_point": True,
            "version": "gemm",
            "modules_to_not_convert": None,
        },
    }
