"""The quantisation of a folder's weights: config.json names it, or quant_config.json as early AutoAWQ wrote it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from models.engines.damaged_files import DamagedFileError, read_model_json
from models.engines.safetensors_header import Tensor
from models.engines.weight_shards import folder_tensors

_OLD_AWQ, _GPTQ = "quant_config.json", "quantize_config.json"


def quantization_of(folder: Path, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the quantisation of a folder's weights as config.json writes it, None for dense weights.

    Raises:
        DamagedFileError: quant_config.json cannot be read.
    """
    return config.get("quantization_config") or old_awq(folder)


def old_awq(folder: Path) -> dict[str, Any] | None:
    """Return the content of quant_config.json in the words of `quantization_config`, None without packed weights."""
    if not (folder / _OLD_AWQ).exists() or not _packed(folder_tensors(folder)):
        return None
    path = folder / _OLD_AWQ
    given = read_model_json(path)
    bits, group = given.get("w_bit", given.get("bits")), given.get("q_group_size", given.get("group_size"))
    if type(bits) is not int or type(group) is not int:
        raise DamagedFileError(path, "has no whole numbers w_bit and q_group_size")
    return {
        "quant_method": "awq",
        "version": str(given.get("version", "gemm")).lower(),
        "bits": bits,
        "group_size": group,
        "zero_point": bool(given.get("zero_point", True)),
        "modules_to_not_convert": given.get("modules_to_not_convert"),
    }


def check_quantization(folder: Path, config: Mapping[str, Any], tensors: Iterable[Tensor]) -> None:
    """Refuse packed weights without a description: an engine would take them for dense ones that are missing.

    Raises:
        DamagedFileError: nothing describes the packed weights, or quant_config.json cannot be read.
    """
    name = _packed(tensors)
    if not name or quantization_of(folder, config):
        return
    other = f"; {_GPTQ} is of GPTQ, which is not supported" if (folder / _GPTQ).exists() else ""
    problem = f"holds packed weights ({name}), and neither quantization_config in config.json nor {_OLD_AWQ}{other}"
    raise DamagedFileError(folder, problem, "copy all files of an AWQ checkpoint, or take dense weights")


def _packed(tensors: Iterable[Tensor]) -> str:
    return next((tensor.name for tensor in tensors if tensor.name.endswith(".qweight")), "")
