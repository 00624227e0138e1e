"""Checks that the weights are complete, in the safe format, in Git LFS, and within the size limits."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from submission.preflight.repository import FailedError, Repository, listed
from utilities.git import git

INDEX = "model.safetensors.index.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
UNSAFE = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".h5", ".msgpack"})
LFS_LIMIT_GB = 200.0
PLAIN_LIMIT = 15_000_000
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
_LONGEST_POINTER = 1024


class Tensor(NamedTuple):
    """Name, type ("F32", "BF16", "I32", ...) and shape of a tensor in a safetensors file."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Its size in the file."""
        bits = re.search(r"\d+", self.dtype)
        return self.elements * (int(bits[0]) if bits else 8) // 8

    @property
    def is_float(self) -> bool:
        """Whether its elements are floats that an engine converts to `engine.dtype`."""
        return self.dtype in ("F64", "F32", "F16", "BF16")


def read_tensors(path: Path) -> tuple[Tensor, ...]:
    """Read the header of a safetensors file, which also checks the file's length.

    Raises:
        FailedError: the file is a Git LFS pointer, not a safetensors file, or cut short.
    """
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise FailedError(f"{path.name} is a Git LFS pointer, not the weights", "run `git lfs pull`")
    try:
        with safe_open(path, "numpy") as tensors:
            entries = [(name, tensors.get_slice(name)) for name in tensors.keys()]  # noqa: SIM118 - it is not a mapping
            return tuple(Tensor(name, entry.get_dtype(), tuple(entry.get_shape())) for name, entry in entries)
    except (SafetensorError, OSError) as error:
        found = f"{path.name} is cut short or not a safetensors file ({error})"
        raise FailedError(found, "download it again, or convert it") from None


def check_weights(repository: Repository) -> str:
    """Require a whole model in the folder that the settings name: configuration, tokenizer and every shard."""
    tensors = tensors_of(repository)
    size = sum(tensor.bytes for tensor in tensors)
    return f"{_folder(repository)}: {len(tensors)} tensors, {size / 1e9:.2f} GB"


def tensors_of(repository: Repository) -> tuple[Tensor, ...]:
    """Return the tensors of all shards, or raise a `FailedError` of "weights" if one is missing or damaged."""
    folder = repository.weights_folder
    try:
        _require_model_files(folder)
        return tuple(tensor for shard in _shards(folder) for tensor in read_tensors(folder / shard))
    except FailedError as error:
        raise FailedError(f"{_folder(repository)}: {error.found}", error.remedy, "weights") from None


def _folder(repository: Repository) -> str:
    return repository.name_of(repository.weights_folder)


def _require_model_files(folder: Path) -> None:
    remedy = (
        "run `python -m models.engines.weights fetch` for the default model, or copy a whole model folder there "
        "(docs/submission.md says where from)"
    )
    if not folder.is_dir():
        raise FailedError("there is no such folder", remedy)
    if (folder / ".git").exists():
        raise FailedError("it is a separate git repository", "remove its .git, or git would store a link only")
    if not (folder / "config.json").is_file():
        raise FailedError("config.json is missing", remedy)
    read_config(folder)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise FailedError(f"there is none of {', '.join(TOKENIZERS)}", remedy)


def read_config(folder: Path) -> Mapping[str, Any]:
    """Return the content of a model's config.json."""
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise FailedError("config.json is not a JSON object", "download it again, or run `git lfs pull`")
    return content


def _shards(folder: Path) -> list[str]:
    """Return the names of the shards: those that the index names, else every safetensors file."""
    if (folder / INDEX).exists():
        try:
            weight_map = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
            named = sorted({PurePosixPath(name).name for name in weight_map.values()})
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise FailedError(f"{INDEX} cannot be read ({type(error).__name__})", "download it again") from None
        missing = [name for name in named if not (folder / name).is_file()]
        if missing:
            raise FailedError(f"{INDEX} names {listed(missing)}, which is missing", "download the missing shards")
        return named
    found = sorted(path.name for path in folder.glob("*.safetensors"))
    if not found:
        raise FailedError("there is no .safetensors file", "save the model as safetensors")
    if any("-of-" in name for name in found):
        raise FailedError(f"{found[0]} is a shard, but {INDEX} is missing", f"download {INDEX} too")
    return found


def check_format(repository: Repository) -> str:
    """Refuse every file in a format that can carry code."""
    unsafe = [name for name in repository.files if PurePosixPath(name).suffix.lower() in UNSAFE]
    if unsafe:
        remedy = "save weights as safetensors (`save_pretrained` does) and remove these files"
        raise FailedError(f"{listed(unsafe)}: a format that can run code when it is read", remedy)
    return "safetensors only"


def check_lfs(repository: Repository) -> str:
    """Require that .gitattributes gives the weights to Git LFS, and that none is committed in full."""
    weights = [name for name in repository.weights_files if name.endswith(".safetensors")]
    if not weights:
        tensors_of(repository)
    if private := repository.private_filters:
        found = f"{listed(private)} has a rule for a filter, and is never pushed"
        raise FailedError(found, "move the rule to .gitattributes")
    plain = sorted(set(weights) - repository.stored_by_lfs(weights))
    if plain:
        rule = f"{_folder(repository)}/** filter=lfs diff=lfs merge=lfs -text"
        raise FailedError(f"{listed(plain)}: not given to Git LFS", f"add to .gitattributes: {rule}")
    committed = sorted(repository.tracked.intersection(weights))
    raw = [name for name in committed if not is_pointer(repository.root, f":{name}")]
    if raw:
        remedy = f"run `git lfs migrate import --include '{_folder(repository)}/**'`"
        raise FailedError(f"{listed(raw)}: committed in full, not as a Git LFS pointer", remedy)
    return f"{len(weights)} safetensors file{'s' * (len(weights) != 1)} by .gitattributes"


def is_pointer(root: Path, blob: str) -> bool:
    """Return whether git's object `blob` ("commit:path", ":path") is a Git LFS pointer."""
    small = int(git(root, "cat-file", "-s", blob)) <= _LONGEST_POINTER
    return small and git(root, "cat-file", "blob", blob).startswith(LFS_POINTER)


def check_sizes(repository: Repository) -> str:
    """Require 200 GB at most in Git LFS, and no large file in git itself."""
    files = [(name, repository.root / name) for name in repository.files]
    sizes = {name: path.stat().st_size for name, path in files if path.is_file() and not path.is_symlink()}
    by_lfs = repository.stored_by_lfs(sorted(sizes))
    large = sorted(name for name in sizes if name not in by_lfs and sizes[name] > PLAIN_LIMIT)
    if large:
        found = f"{listed(large)}: over {PLAIN_LIMIT / 1e6:.0f} MB and not given to Git LFS"
        raise FailedError(found, "give them to Git LFS in .gitattributes, or remove them")
    stored = sum(sizes[name] for name in by_lfs) / 1e9
    if stored > LFS_LIMIT_GB:
        raise FailedError(f"{stored:.1f} GB in Git LFS, the limit is 200 GB", "remove weights that are not used")
    return f"{stored:.2f} GB in Git LFS, {sum(sizes.values()) / 1e6 - stored * 1000:.1f} MB in git"
