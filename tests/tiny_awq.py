"""Tiny checkpoints in AutoAWQ's GEMM layout, rounded to nearest: the format without the search for scales."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.tiny_model import save_tiny_model

GROUP_SIZE = 32
_NIBBLES = (0, 2, 4, 6, 1, 3, 5, 7)  # which of eight neighbouring columns stands in which nibble of an int32


def save_tiny_awq(
    folder: Path,
    architecture: str = "llama",
    *,
    group_size: int = GROUP_SIZE,
    keep: Sequence[str] | None = None,
    **shape: Any,
) -> None:
    """Save a tiny model whose linear layers are 4-bit; those whose names contain one of `keep` stay dense."""
    with tempfile.TemporaryDirectory() as dense:
        save_tiny_model(Path(dense), architecture, **shape)
        quantise_folder(Path(dense), folder, group_size=group_size, keep=keep)


def quantise_folder(dense: Path, folder: Path, *, group_size: int, keep: Sequence[str] | None = None) -> None:
    """Write the dense model in `dense` to `folder` as AutoAWQ would, without calibration."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in load_file(dense / "model.safetensors").items():
        layer = name.removesuffix(".weight")
        if layer.endswith("_proj") and not any(part in layer for part in keep or ()):
            tensors |= {f"{layer}.{part}": packed for part, packed in quantised(tensor, group_size).items()}
        else:
            tensors[name] = tensor.half()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for path in dense.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    _add_quantization_config(folder / "config.json", group_size, keep)


def _add_quantization_config(path: Path, group_size: int, keep: Sequence[str] | None) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    config["dtype"] = "float16"
    config["quantization_config"] = {
        "bits": 4,
        "group_size": group_size,
        "modules_to_not_convert": None if keep is None else list(keep),
        "quant_method": "awq",
        "version": "gemm",
        "zero_point": True,
    }
    path.write_text(json.dumps(config), encoding="utf-8")


def quantised(weight: torch.Tensor, group_size: int) -> dict[str, torch.Tensor]:
    """Round a dense [columns, rows] weight to 16 levels a group of `group_size` rows, and pack it."""
    groups = weight.float().T.reshape(-1, group_size, len(weight))
    low, high = groups.amin(1), groups.amax(1)
    scales = ((high - low).clamp(min=1e-5) / 15).half()
    zeros = (-low / scales.float()).round().clamp(0, 15)
    levels = (groups / scales.float()[:, None] + zeros[:, None]).round().clamp(0, 15)
    return {
        "qweight": _packed(levels.reshape(-1, len(weight))),
        "qzeros": _packed(zeros),
        "scales": scales.contiguous(),
    }


def _packed(levels: torch.Tensor) -> torch.Tensor:
    whole = levels.to(torch.int64)
    packed = sum(whole[:, column::8] << 4 * nibble for nibble, column in enumerate(_NIBBLES))
    assert isinstance(packed, torch.Tensor)
    return packed.to(torch.int32).contiguous()  # the highest nibble reaches the sign: the bits count, not the number
