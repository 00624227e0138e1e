"""Reads AutoAWQ's GEMM format, which packs eight 4-bit weights into an int32, and unpacks it to dense weights.

A linear layer of `rows` inputs and `columns` outputs with groups of `size` inputs is stored as

    qweight  int32 [rows, columns / 8]
    qzeros   int32 [rows / size, columns / 8]
    scales   float [rows / size, columns]

and stands for weight[row, column] = (q[row, column] - z[group, column]) x scale[group, column]. Nibble n of an int32,
counted from its lowest bits, holds the column that `ORDER` names of the eight (AutoAWQ, `awq/utils/packing_utils.py`).
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Any

import torch
from safetensors import safe_open

from models.engines.weight_shards import weight_files
from utilities.errors import UserError

ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
PARTS = ("qweight", "qzeros", "scales")


def check_awq(quantization: Mapping[str, Any], folder: Path) -> None:
    """Refuse every format but AutoAWQ's 4-bit GEMM.

    Raises:
        UserError: the `quantization_config` names another method, version or number of bits.
    """
    told = {
        "quant_method": quantization.get("quant_method"),
        "version": str(quantization.get("version", "gemm")).lower(),
        "bits": quantization.get("bits", 4),
    }
    wanted = {"quant_method": "awq", "version": "gemm", "bits": 4}
    for name, value in wanted.items():
        if told[name] != value:
            raise UserError(
                f"{folder / 'config.json'}: quantization_config.{name} is {told[name]!r}; only {value!r} is read: "
                "use a checkpoint of that kind or make one with `python -m tuning.quantize`"
            )


def dequantise(qweight: torch.Tensor, qzeros: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Return the dense weight, float32 [columns, rows] as `torch.nn.Linear` keeps it.

    One column of the eight at a time, so that the integers in between need an eighth of the result's memory.
    """
    rows, groups, columns = len(qweight), len(scales), scales.shape[1]
    weight = torch.empty(columns, rows)
    for nibble, column in enumerate(ORDER):
        values = ((qweight >> 4 * nibble) & 15).view(groups, rows // groups, -1)
        zeros = ((qzeros >> 4 * nibble) & 15)[:, None]
        each = (values - zeros) * scales[:, None, column::8].float()
        weight[column::8] = each.view(rows, -1).T
    return weight


@dataclass(frozen=True)
class LazyWeight:
    """A packed layer's weight that is dequantised when it is read, as safetensors reads its slices."""

    parts: tuple[Any, ...]

    def __getitem__(self, _: EllipsisType) -> torch.Tensor:
        """Return the whole weight; `parts` are safetensors' slices of `PARTS`."""
        return dequantise(*(part[...] for part in self.parts))


def dense_tensors(folder: Path, files: ExitStack) -> dict[str, Any]:
    """Return every tensor of an AWQ folder by its name in the dense model, each read when it is indexed.

    `files` keeps the folder's files open.

    Raises:
        UserError: a packed layer lacks one of its parts.
    """
    slices: dict[str, Any] = {}
    for path in weight_files(folder):
        opened: Any = files.enter_context(safe_open(path, framework="pt"))
        slices.update({name: opened.get_slice(name) for name in opened.keys()})  # noqa: SIM118 - no mapping
    packed = [name.removesuffix(".qweight") for name in slices if name.endswith(".qweight")]
    for layer in packed:
        missing = [part for part in PARTS if f"{layer}.{part}" not in slices]
        if missing:
            raise UserError(f"{folder}: layer {layer} has no {missing[0]}: fetch or quantise the checkpoint again")
        slices[f"{layer}.weight"] = LazyWeight(tuple(slices.pop(f"{layer}.{part}") for part in PARTS))
    return slices
