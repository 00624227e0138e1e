"""Mix LoRA adapters of one base: what they add to each weight is mixed, not their small matrices.

Full weights of two models tuned from one base are so nearly parallel that SLERP averages them linearly, and the base's
part of that average is the base itself. So a mixed adapter is the average of what its parents add, by the same shares.
"""

import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from models.engines.adapter_config import CONFIG, TENSORS, matrix_name
from models.engines.adapter_matrices import Change, Changes
from tuning.merging.checkpoint import Checkpoint, by
from tuning.merging.finite import read_finite
from tuning.merging.folder import copy_files, write_tensors
from tuning.merging.low_rank import Cut, cut, padded, weighted_sum
from tuning.merging.method import Method, Shares, only
from tuning.merging.places import places
from utilities.errors import UserError
from utilities.files import write_json

_REMEDY = "mix adapters of one base, trained on the same layers"


def mix_adapters(method: Method, models: Sequence[Path | None], rank: int, output: Path) -> dict[str, Any]:
    """Write the mixed adapter into the folder `output`; return its rank and the share of its norm that was kept.

    None among the models is the base itself, to which nothing is added. `rank` 0 keeps the sum of the parents' ranks.

    Raises:
        UserError: an adapter cannot be read, holds a number that is not finite, or belongs to another base or other
            layers than the first.
        OSError: a file cannot be written.
    """
    parents = {folder: read_finite(folder) for folder in models if folder}
    first = next(iter(parents))
    _check_alike(parents)
    copy_files(first, output)
    shares = _shares(method, parents[first], len(models))
    sole = _sole(models, shares)
    if sole and not 0 < rank < _rank(parents[sole]):
        return _copy(sole, _rank(parents[sole]), output)
    sums = {module: _sum(module, models, parents, each) for module, each in shares.items()}
    changes, report = _resized(sums, rank)
    dtype = _widest(parents.values())
    _write(changes, dtype, {**_config(first), **_plain(report["rank"])}, output)
    return report


def check_adapters_base(base: Path, adapters: Sequence[Path]) -> None:
    """See that full weights have what the adapters change.

    Raises:
        UserError: they cannot be read, or have not.
    """
    with Checkpoint(base) as checkpoint:
        for folder in adapters:
            for module, change in read_finite(folder).items():
                shape = checkpoint.shapes.get(_weight(module))
                size = "nothing of that name" if shape is None else by(shape)
                if size != _size(change):
                    raise UserError(f"{folder} changes {module}, {_size(change)}; {base} has {size}: name its own base")


def _shares(method: Method, modules: Changes, count: int) -> dict[str, Shares]:
    where = places([_weight(module) for module in modules])
    return {module: method.shares(where[_weight(module)], count) for module in modules}


def _weight(module: str) -> str:
    return f"{module}.weight"


def _check_alike(parents: Mapping[Path, Changes]) -> None:
    first, *others = parents
    base = _config(first).get("base_model_name_or_path")
    for other in others:
        if (name := _config(other).get("base_model_name_or_path")) != base:
            raise UserError(f"{first} is an adapter for {base}, {other} one for {name}: {_REMEDY}")
        if lacking := sorted(parents[first].keys() ^ parents[other].keys()):
            having, without = (first, other) if lacking[0] in parents[first] else (other, first)
            raise UserError(f"{having} changes {lacking[0]}, which {without} leaves alone: {_REMEDY}")
        for module, change in parents[first].items():
            sizes = _size(change), _size(parents[other][module])
            if sizes[0] != sizes[1]:
                raise UserError(f"{module} is {sizes[0]} in {first} and {sizes[1]} in {other}: {_REMEDY}")


def _size(change: Change) -> str:
    return by((len(change.up), change.down.shape[1]))


def _rank(changes: Changes) -> int:
    return max(len(change.down) for change in changes.values())


def _widest(adapters: Iterable[Changes]) -> torch.dtype:
    """Return the type of numbers that holds those of all adapters."""
    matrices = (matrix for changes in adapters for each in changes.values() for matrix in (each.down, each.up))
    return reduce(torch.promote_types, (matrix.dtype for matrix in matrices))


def _sole(models: Sequence[Path | None], shares: Mapping[str, Shares]) -> Path | None:
    """Return the adapter that is taken whole in every module, if there is one."""
    found = {only(each) for each in shares.values()}
    index = found.pop() if len(found) == 1 else None
    return None if index is None else models[index]


def _copy(adapter: Path, rank: int, output: Path) -> dict[str, Any]:
    for name in (CONFIG, TENSORS):
        shutil.copyfile(adapter / name, output / name)
    return {"rank": rank, "norm_kept": 1.0}


def _sum(module: str, models: Sequence[Path | None], parents: Mapping[Path, Changes], shares: Shares) -> Change:
    pairs = [(parents[folder][module], share) for folder, share in zip(models, shares, strict=True) if folder]
    return weighted_sum([change for change, _ in pairs], tuple(share for _, share in pairs))


def _resized(changes: Changes, rank: int) -> tuple[Changes, dict[str, Any]]:
    """Bring all modules to one rank, which is what every engine reads."""
    whole = _rank(changes)
    if not 0 < rank < whole:
        return {module: padded(change, whole) for module, change in changes.items()}, {"rank": whole, "norm_kept": 1.0}
    cuts: dict[str, Cut] = {}
    for module, change in tqdm(changes.items(), desc="cutting back", unit="module"):
        cuts[module] = cut(change, rank)
    kept, total = (sum(getattr(each, name) for each in cuts.values()) for name in ("kept", "whole"))
    share = math.sqrt(kept / total) if total else 1.0
    return {module: each.change for module, each in cuts.items()}, {"rank": rank, "norm_kept": round(share, 6)}


def _write(changes: Changes, dtype: torch.dtype, config: Mapping[str, Any], output: Path) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for module, change in changes.items():
        for side, matrix in (("A", change.down), ("B", change.up)):
            tensors[matrix_name(module, side)] = matrix.to(dtype)
    write_tensors(output / TENSORS, tensors)
    write_json(output / CONFIG, config)


def _config(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return values


def _plain(rank: int) -> dict[str, Any]:
    """Return the fields of a config that say: every module has this rank and the scale 1."""
    return {"r": rank, "lora_alpha": rank, "rank_pattern": {}, "alpha_pattern": {}, "use_rslora": False}
