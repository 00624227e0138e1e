"""The safetensors files of a folder: the single file, or the shards that an index names."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from models.engines.adapter_config import TENSORS as ADAPTER_TENSORS
from models.engines.damaged_files import DamagedFileError, read_model_json
from models.engines.safetensors_header import Tensor, read_tensors

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_SHARD = re.compile(r".+-\d+-of-(?P<total>\d+)\.safetensors")
_SHOWN = 3


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that transformers loads from a folder, or raise a `DamagedFileError`."""
    return list(_indexed(folder))


def folder_tensors(folder: Path) -> tuple[Tensor, ...]:
    """Return the tensors of all files of a folder's weights, from their headers.

    Raises:
        DamagedFileError: a file is missing, damaged or lacks a tensor that the index places there.
    """
    return tuple(tensor for path, names in _indexed(folder).items() for tensor in _tensors(path, names))


def _tensors(path: Path, names: frozenset[str]) -> tuple[Tensor, ...]:
    tensors = read_tensors(path)
    if lacking := sorted(names - {tensor.name for tensor in tensors}):
        problem = f"lacks {_listed(lacking)}, which {INDEX} places there"
        raise DamagedFileError(path, problem, "download the index and all shards again")
    if not tensors:
        raise DamagedFileError(path, "holds no tensor")
    return tensors


def _indexed(folder: Path) -> dict[Path, frozenset[str]]:
    """Return the files of the weights, each with the tensors that the index places there; none without an index."""
    index, single = folder / INDEX, folder / SINGLE
    if index.exists() and single.exists():
        raise DamagedFileError(folder, f"holds {SINGLE}, which is loaded first, and {INDEX}", "remove one of them")
    if index.exists():
        return _shards(index)
    if not single.exists() and not single.is_symlink():
        raise _without_index(folder)
    return {single: frozenset()}


def _shards(index: Path) -> dict[Path, frozenset[str]]:
    weight_map = read_model_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise DamagedFileError(index, "has no weight_map")
    placed: dict[str, set[str]] = {}
    for tensor, name in weight_map.items():
        if not isinstance(name, str) or PurePosixPath(name).name != name or not name.endswith(".safetensors"):
            raise DamagedFileError(index, f"places {tensor} in {name!r}, which is no safetensors file of the folder")
        placed.setdefault(name, set()).add(tensor)
    # A linked file that is gone is named as such when it is read.
    there = {path.name for path in index.parent.iterdir()}
    if missing := sorted(placed.keys() - there):
        verb = "is" if len(missing) == 1 else "are"
        raise DamagedFileError(index, f"names {_listed(missing)}, which {verb} missing", "download the missing shards")
    return {index.parent / name: frozenset(placed[name]) for name in sorted(placed)}


def _without_index(folder: Path) -> DamagedFileError:
    """Return the error of a folder that has neither `SINGLE` nor `INDEX`."""
    found = sorted(path.name for path in folder.glob("*.safetensors") if path.name != ADAPTER_TENSORS)
    if found and (shard := _SHARD.fullmatch(found[0])):
        return _only_shards(folder, len(found), int(shard["total"]))
    if found:
        remedy = f"rename the file to {SINGLE}" if len(found) == 1 else f"download {INDEX} too"
        return DamagedFileError(folder, f"holds {_listed(found)}, but neither {SINGLE} nor {INDEX}", remedy)
    for kind, patterns in (("pickled weights", PICKLED), ("GGUF weights", ("*.gguf",))):
        if others := sorted(path.name for pattern in patterns for path in folder.glob(pattern)):
            remedy = "save the model as safetensors (`save_pretrained` of transformers does), or download it so"
            return DamagedFileError(folder, f"holds {kind} only ({_listed(others)}), no safetensors file", remedy)
    return DamagedFileError(folder, "holds no safetensors file", "copy the model's safetensors files there")


def _only_shards(folder: Path, count: int, total: int) -> DamagedFileError:
    """Return the error of shards without an index: only the index says which tensors the model has."""
    found = f"{count} of {total} shards" if count != total else f"{total} shard{'s' * (total != 1)}"
    others = " and the other shards" if count != total else ""
    return DamagedFileError(folder, f"holds {found} and no {INDEX}", f"download {INDEX}{others} too")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
