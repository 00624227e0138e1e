"""Checks that the model fits the machine that the gpu flag of aicrowd.json requests."""

from collections.abc import Mapping
from typing import Any

from models.engines.damaged_files import read_model_json
from models.engines.quantization import quantization_of
from submission.preflight.named_folders import tensors_of_adapters
from submission.preflight.repository import FailedError, Repository
from submission.preflight.weight_files import tensors_of

GB = 1000**3
MEMORY = {False: 8 * GB, True: 180 * GB}
GPUS = 4
# Python with torch and transformers takes about 1 GB; activations, caches and the questions take the rest.
CPU_RESERVE = 2 * GB
# A GPU has 16 GB; CUDA's context, activations and a cache of keys and values take the rest.
GPU_WEIGHTS = 14 * GB
DTYPE_BYTES: Mapping[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2}


def check_gpu(repository: Repository) -> str:
    """Require a model that fits the machine that the gpu flag asks for."""
    gpu, settings = repository.aicrowd.gpu, repository.settings
    if not repository.needs_weights:
        return f"gpu {str(gpu).lower()}; the scripted engine needs none"
    dtype, device = settings.engine("dtype"), settings.engine("device")
    tensors = (*tensors_of(repository), *tensors_of_adapters(repository))
    # Floats are converted to the type of the settings; packed integers are not.
    float_bytes = DTYPE_BYTES.get(dtype, 4)
    needed = sum(tensor.elements * float_bytes if tensor.is_float else tensor.bytes for tensor in tensors)
    named = quantization_of(repository.weights_folder, _config(repository))
    method = str(named.get("quant_method", "")).upper() if isinstance(named, Mapping) else ""
    if gpu:
        _require_gpu_fit(needed, dtype, device)
        if settings.engine("name") == "vllm":
            _require_spread(repository, needed)
    else:
        _require_cpu_fit(needed, method, device)
    return f"gpu {str(gpu).lower()} with {needed / GB:.1f} GB of {method or dtype} weights"


def _config(repository: Repository) -> dict[str, Any]:
    """Return the model's config; `tensors_of` has checked it."""
    return read_model_json(repository.weights_folder / "config.json")


def _require_gpu_fit(needed: int, dtype: str, device: str) -> None:
    if dtype == "bfloat16":
        raise FailedError("engine.dtype is bfloat16, which a T4 lacks", "set engine.dtype to float16")
    if device != "cpu" and needed > GPUS * GPU_WEIGHTS:
        raise FailedError(
            f"{needed / GB:.0f} GB of weights do not fit four GPUs of 16 GB",
            "quantise the model to 4 bits (`python -m tuning.quantize`), or set engine.dtype to float16",
        )


def _require_spread(repository: Repository, needed: int) -> None:
    """Require enough GPUs: tensor_parallel x pipeline_parallel GPUs share the weights, each replica has all of them."""
    vllm = repository.settings.values["engine"]["vllm"]
    tensor, pipeline, replicas = (int(vllm[f"{kind}_parallel"]) for kind in ("tensor", "pipeline", "data"))
    if tensor * pipeline * replicas > GPUS:
        raise FailedError(
            f"engine.vllm asks for {tensor * pipeline * replicas} GPUs (tensor_parallel {tensor} x pipeline_parallel "
            f"{pipeline} x data_parallel {replicas}), the machine has {GPUS}",
            f"set them so that their product is {GPUS} at most",
        )
    config = _config(repository)
    # A model of text and pictures keeps the number in the block of its text model.
    blocks = (block for block in (config, config.get("text_config")) if isinstance(block, Mapping))
    heads = next((block["num_attention_heads"] for block in blocks if "num_attention_heads" in block), None)
    if isinstance(heads, int) and heads % tensor:
        raise FailedError(
            f"engine.vllm.tensor_parallel is {tensor}, which does not divide the {heads} attention heads",
            "set it to 1, 2 or 4, and pipeline_parallel for the other GPUs",
        )
    if needed > tensor * pipeline * GPU_WEIGHTS:
        raise FailedError(
            f"{needed / (tensor * pipeline) / GB:.1f} GB of weights on each GPU of engine.vllm (tensor_parallel "
            f"{tensor} x pipeline_parallel {pipeline}), {GPU_WEIGHTS / GB:.0f} GB fit",
            "spread them over more GPUs, with data_parallel 1, or quantise the model",
        )


def _require_cpu_fit(needed: int, method: str, device: str) -> None:
    remedy = 'set "gpu" to true in aicrowd.json'
    if device == "cuda":
        raise FailedError("engine.device is cuda, but gpu is false", f"{remedy}, or engine.device to auto")
    if method:
        raise FailedError(f"{method} weights are for GPUs, but gpu is false", remedy)
    if needed > MEMORY[False] - CPU_RESERVE:
        raise FailedError(f"{needed / GB:.1f} GB of weights, but gpu is false: 8 GB of memory, 4 cores", remedy)
