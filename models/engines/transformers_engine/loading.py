"""Loads a model from a local folder: dense weights unchanged, AWQ weights packed (with kernels) or made dense."""

import logging
import re
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from models.engines.local_folder import INSTALL, LOCAL, model_class
from models.engines.quantization import old_awq
from models.engines.settings import AUTO
from models.engines.transformers_engine.awq import check_awq, dense_tensors
from utilities.errors import UserError

_LOG = logging.getLogger("shopalign")
DENSE = "dense"
_GENERATION = "generation_config.json"


def load_causal_lm(folder: Path, dtype: torch.dtype, device: str, awq: str = AUTO) -> Any:
    """Load the model in `folder`, in Hugging Face layout with safetensors, for inference.

    `device` is "cpu", "cuda" or "auto", which spreads the layers over all GPUs or, without one, takes the CPU. `awq` is
    about AutoAWQ's 4-bit GEMM checkpoints: `kernels` computes with the packed weights through gptqmodel, `dense` makes
    them dense while they are read, `auto` is `kernels` on a GPU and `dense` on a CPU, where it is faster.

    Raises:
        UserError: the weights are damaged, incomplete, quantised otherwise or too large for the GPUs, or the kernels
            are not installed.
    """
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **LOCAL)
        quantization = _quantization(folder, config)
        if quantization is None:
            return _checked(folder, *_load(folder, config, dtype, device))
        check_awq(quantization, folder)
        if awq == DENSE or (awq == AUTO and not _on_gpu(device)):
            return _checked(folder, *_load_dense(folder, config, dtype, device))
        _require_kernels(folder)
        return _checked(folder, *_load(folder, config, dtype, device))
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder}: the model cannot be loaded: {' '.join(str(error).split())}") from error


def _quantization(folder: Path, config: Any) -> Any:
    """Return the quantisation of the weights; one that early AutoAWQ wrote to its own file is added to the config."""
    if getattr(config, "quantization_config", None) is None and (found := old_awq(folder)):
        _LOG.warning("%s: config.json names no quantisation: AutoAWQ's quant_config.json is read instead", folder)
        config.quantization_config = found
    return getattr(config, "quantization_config", None)


def _load(folder: Path | None, config: Any, dtype: torch.dtype, device: str, **others: Any) -> tuple[Any, Any]:
    loaded: tuple[Any, Any] = model_class(config).from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        device_map=device,
        use_safetensors=True,
        attn_implementation="sdpa",
        output_loading_info=True,
        local_files_only=True,
        **others,
    )
    return loaded


def _load_dense(folder: Path, config: Any, dtype: torch.dtype, device: str) -> tuple[Any, Any]:
    del config.quantization_config
    with ExitStack() as files:
        model, found = _load(None, config, dtype, device, state_dict=dense_tensors(folder, files))
    if (folder / _GENERATION).is_file():
        model.generation_config = transformers.GenerationConfig.from_pretrained(str(folder), local_files_only=True)
    return model, found


def _checked(folder: Path, model: Any, found: Any) -> Any:
    """Return the model if every tensor came from the folder, since transformers draws missing ones at random."""
    missing = sorted(found["missing_keys"])
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} tensors are missing, {missing[0]} among them: fetch the folder again"
        )
    beyond = sorted(name for name in found["unexpected_keys"] if re.search(r"\blayers\.\d+\.", name))
    if beyond:
        raise UserError(
            f"{folder / 'config.json'}: the model of this config has no place for {beyond[0]} of the weights: "
            "num_hidden_layers or model_type belongs to another model, so fetch the folder again"
        )
    places = {str(place) for place in getattr(model, "hf_device_map", {}).values()}
    if len(places) > 1 and places & {"cpu", "disk"}:
        raise UserError(
            f"{folder}: the model is too large for the GPUs: use more of them, 4-bit weights, or engine.device cpu"
        )
    return model.eval()


def _on_gpu(device: str) -> bool:
    return device != "cpu" and torch.cuda.is_available()


def _require_kernels(folder: Path) -> None:
    if find_spec("gptqmodel") is None:
        raise UserError(
            f"{folder} holds AWQ weights and gptqmodel, whose kernels compute with them, is not installed: "
            f"run `{INSTALL}`, or set engine.awq to {DENSE}"
        )
