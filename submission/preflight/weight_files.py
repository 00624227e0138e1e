"""The weights: whether they are all there, in the safe format, in Git LFS, and of a size that the machine holds."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from submission.preflight.adapter_files import tensors_of_adapters
from submission.preflight.repository import Repository
from submission.preflight.tensor_headers import FLOATS, LFS_POINTER, Tensor, read_tensors
from submission.preflight.verdict import FailedError, listed
from utilities.git import git

GIB = 1024**3
GB = 1000**3
INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
UNSAFE = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".h5", ".msgpack"})
LFS_LIMIT = 200 * GB
PLAIN_LIMIT = 15_000_000
CPU_MEMORY = 8 * GB
GPUS = 4
# Python with torch and transformers takes about 1 GB; activations, caches and the questions take the rest.
CPU_RESERVE = 2 * GB
# A GPU has 16 GB; a context of CUDA, activations and a cache of keys and values take the rest.
GPU_WEIGHTS = 14 * GB
DTYPE_BYTES: Mapping[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2}
_SPARED_POINTER_BYTES = 1024
_SPREADS = ("tensor", "pipeline", "data")


def check_weights(repository: Repository) -> str:
    """Require a whole model in the folder that the settings name: configuration, tokenizer and every shard."""
    tensors = tensors_of(repository)
    size = sum(tensor.bytes for tensor in tensors)
    return f"{_relative(repository)}: {len(tensors)} tensors, {size / GIB:.2f} GiB"


def tensors_of(repository: Repository) -> tuple[Tensor, ...]:
    """Return the tensors of all shards; what is missing or damaged is reported in the name of "weights"."""
    folder = repository.weights_folder
    try:
        _require_model_files(folder)
        return tuple(tensor for shard in _shards(folder) for tensor in read_tensors(folder / shard))
    except FailedError as error:
        raise FailedError(f"{_relative(repository)}: {error.found}", error.remedy, "weights") from None


def _relative(repository: Repository) -> str:
    return repository.weights_folder.relative_to(repository.root).as_posix()


def _require_model_files(folder: Path) -> None:
    remedy = (
        "run `python -m models.engines.weights fetch` for the default model, or copy a whole model folder there "
        "(docs/submission.md says where from)"
    )
    if not folder.is_dir():
        raise FailedError("there is no such folder", remedy)
    if (folder / ".git").exists():
        raise FailedError("it is a git repository of its own", "remove its .git, or git would store a link only")
    if not (folder / "config.json").is_file():
        raise FailedError("config.json is missing", remedy)
    _configuration(folder)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise FailedError(f"none of {', '.join(TOKENIZERS)} is there", remedy)


def _configuration(folder: Path) -> Mapping[str, Any]:
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise FailedError("config.json is no JSON object", "download it again, or run `git lfs pull`")
    return content


def _shards(folder: Path) -> list[str]:
    """Return the names of the shards: those that the index names, else every safetensors file."""
    if (folder / INDEX).exists():
        named = _shards_of_index(folder / INDEX)
        missing = [name for name in named if not (folder / name).is_file()]
        if missing:
            raise FailedError(f"{INDEX} names {listed(missing)}, which is not there", "download the missing shards")
        return named
    found = sorted(path.name for path in folder.glob("*.safetensors"))
    if not found:
        raise FailedError("no .safetensors file is there", "save the model as safetensors")
    if any("-of-" in name for name in found):
        raise FailedError(f"{found[0]} is a shard, but {INDEX} is missing", f"download {INDEX} too")
    return found


def _shards_of_index(path: Path) -> list[str]:
    try:
        named = json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()
        return sorted({PurePosixPath(name).name for name in named})
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise FailedError(f"{INDEX} cannot be read ({type(error).__name__})", "download it again") from None


def check_format(repository: Repository) -> str:
    """Refuse every file in a format that can carry code."""
    unsafe = [name for name in repository.files if PurePosixPath(name).suffix.lower() in UNSAFE]
    if unsafe:
        raise FailedError(
            f"{listed(unsafe)}: a format that can run code when it is read",
            "save weights as safetensors (`save_pretrained` does) and remove these files",
        )
    return "safetensors only"


def check_lfs(repository: Repository) -> str:
    """Require that .gitattributes gives the weights to Git LFS, and that none was committed beside it."""
    weights = [name for name in repository.weights_files if name.endswith(".safetensors")]
    if not weights:
        tensors_of(repository)
    if private := repository.private_filters:
        raise FailedError(
            f"{listed(private)} has a rule for a filter, and is never pushed", "move the rule to .gitattributes"
        )
    plain = sorted(set(weights) - repository.stored_by_lfs(weights))
    if plain:
        rule = f"{_relative(repository)}/** filter=lfs diff=lfs merge=lfs -text"
        raise FailedError(f"{listed(plain)}: not given to Git LFS", f"add to .gitattributes: {rule}")
    raw = _committed_raw(repository, sorted(repository.tracked.intersection(weights)))
    if raw:
        raise FailedError(
            f"{listed(raw)}: committed in full, not as a pointer of Git LFS",
            f"run `git lfs migrate import --include '{_relative(repository)}/**'`",
        )
    return f"{len(weights)} safetensors file{'s' * (len(weights) != 1)} by .gitattributes"


def _committed_raw(repository: Repository, files: Iterable[str]) -> list[str]:
    return [name for name in files if not is_pointer(repository.root, f":{name}")]


def is_pointer(root: Path, blob: str) -> bool:
    """Tell whether git's object `blob` ("commit:path", ":path") is a pointer of Git LFS."""
    small = int(git(root, "cat-file", "-s", blob)) <= _SPARED_POINTER_BYTES
    return small and git(root, "cat-file", "blob", blob).startswith(LFS_POINTER)


def check_sizes(repository: Repository) -> str:
    """Require 200 GB at most in Git LFS, and no large file in git itself."""
    sizes = {name: size for name in repository.files if (size := _size(repository.root / name)) is not None}
    by_lfs = repository.stored_by_lfs(sorted(sizes))
    large = sorted(name for name in sizes if name not in by_lfs and sizes[name] > PLAIN_LIMIT)
    if large:
        raise FailedError(
            f"{listed(large)}: over {PLAIN_LIMIT / 1e6:.0f} MB and not given to Git LFS",
            "give them to Git LFS in .gitattributes, or remove them",
        )
    total = sum(sizes[name] for name in by_lfs)
    if total > LFS_LIMIT:
        raise FailedError(f"{total / GB:.1f} GB in Git LFS, the limit is 200 GB", "remove weights that are not used")
    return f"{total / GB:.2f} GB in Git LFS, {(sum(sizes.values()) - total) / 1e6:.1f} MB in git"


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() and not path.is_symlink() else None


def check_gpu(repository: Repository) -> str:
    """Require a model that fits the machine that the gpu flag asks for."""
    gpu, settings = repository.gpu, repository.settings
    if not repository.needs_weights:
        return f"gpu {str(gpu).lower()}; the scripted engine needs none"
    tensors = (*tensors_of(repository), *tensors_of_adapters(repository))
    dtype, device = settings.engine("dtype"), settings.engine("device")
    needed = sum(_loaded_bytes(tensor, DTYPE_BYTES.get(dtype, 4)) for tensor in tensors)
    method = _quantisation(repository.weights_folder)
    if gpu:
        _require_gpu_fit(needed, dtype, device)
        if settings.engine("name") == "vllm":
            _require_spread(repository, needed)
    else:
        _require_cpu_fit(needed, method, device)
    kind = f"{method} weights" if method else f"{dtype} weights"
    return f"gpu {str(gpu).lower()} with {needed / GB:.1f} GB of {kind}"


def _require_gpu_fit(needed: int, dtype: str, device: str) -> None:
    if dtype == "bfloat16":
        raise FailedError("engine.dtype is bfloat16, which a T4 lacks", "set engine.dtype to float16")
    if device != "cpu" and needed > GPUS * GPU_WEIGHTS:
        raise FailedError(
            f"{needed / GB:.0f} GB of weights do not fit four GPUs of 16 GB",
            "quantise the model to 4 bits (`python -m tuning.quantize`), or set engine.dtype to float16",
        )


def _require_spread(repository: Repository, needed: int) -> None:
    """Require GPUs enough: weights are shared among tensor_parallel x pipeline_parallel GPUs, a replica has all."""
    engine = repository.settings.values["engine"]
    tensor, pipeline, replicas = (int(engine["vllm"].get(f"{kind}_parallel", 1)) for kind in _SPREADS)
    if tensor * pipeline * replicas > GPUS:
        raise FailedError(
            f"engine.vllm asks for {tensor * pipeline * replicas} GPUs (tensor_parallel {tensor} x pipeline_parallel "
            f"{pipeline} x data_parallel {replicas}), the machine has {GPUS}",
            f"set them so that their product is {GPUS} at most",
        )
    heads = _attention_heads(repository.weights_folder)
    if heads is not None and heads % tensor:
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


def _attention_heads(folder: Path) -> int | None:
    """Return what config.json says, where a model of text and pictures keeps its text's part too."""
    configuration = _configuration(folder)
    parts = (configuration, configuration.get("text_config"))
    found = (part.get("num_attention_heads") for part in parts if isinstance(part, Mapping))
    return next((heads for heads in found if isinstance(heads, int)), None)


def _require_cpu_fit(needed: int, method: str, device: str) -> None:
    remedy = 'set "gpu" to true in aicrowd.json'
    if device == "cuda":
        raise FailedError("engine.device is cuda, but gpu is false", f"{remedy}, or engine.device to auto")
    if method:
        raise FailedError(f"{method} weights are for GPUs, but gpu is false", remedy)
    if needed > CPU_MEMORY - CPU_RESERVE:
        raise FailedError(f"{needed / GB:.1f} GB of weights, but gpu is false: 8 GB of memory, 4 cores", remedy)


def _loaded_bytes(tensor: Tensor, dtype_bytes: int) -> int:
    """Floating-point tensors take the type of the settings, packed integers stay as they are."""
    return tensor.elements * dtype_bytes if tensor.dtype in FLOATS else tensor.bytes


def _quantisation(folder: Path) -> str:
    """Return the method that config.json names, in capitals; "" for dense weights."""
    named = _configuration(folder).get("quantization_config")
    return str(named.get("quant_method", "")).upper() if isinstance(named, Mapping) else ""


def check_settings(repository: Repository) -> str:
    """Require settings that load without this shell's variables."""
    engine = repository.settings.engine
    ignored = sorted(name for name in os.environ if name.startswith("SHOPALIGN_"))
    note = f"; {', '.join(ignored)} not heeded, the evaluator sets none" if ignored else ""
    return f"engine {engine('name')}, weights {engine('weights')}{note}"
