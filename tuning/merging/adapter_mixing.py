"""Mixes LoRA adapters of one base: the changes of each weight are averaged, not the small matrices.

Full weights of two models tuned from one base are so nearly parallel that SLERP averages them linearly, and the base's
part of that average is the base itself. So a mixed adapter is the average of its parents' changes, by the same shares.
"""

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from models.engines.adapter_config import CONFIG, TENSORS, matrix_name
from models.engines.adapter_matrices import Change, Changes
from tuning.merging.checkpoint import Checkpoint, by, check_alike
from tuning.merging.method import Method, Shares, only, places
from tuning.model_files import read_adapter, write_tensors
from tuning.output_folder import copy_files
from utilities.errors import UserError
from utilities.files import write_json
from utilities.json_files import read_object

_REMEDY = "mix adapters of one base, trained on the same layers"


class Cut(NamedTuple):
    """A product of lower rank, and the squared Frobenius norms of that product and of the whole."""

    change: Change
    kept: float
    whole: float


def mix_adapters(method: Method, models: Sequence[Path | None], rank: int, output: Path) -> dict[str, Any]:
    """Write the mixed adapter into the folder `output`; return its rank and the share of its norm that was kept.

    None among the models is the base itself, without changes. `rank` 0 keeps the sum of the parents' ranks.

    Raises:
        UserError: an adapter cannot be read, holds a number that is not finite, or has another base or other layers
            than the first.
        OSError: a file cannot be written.
    """
    parents = {folder: read_adapter(folder) for folder in models if folder}
    first = next(iter(parents))
    _check_alike(parents)
    copy_files(first, output)
    placed = zip(parents[first], places([f"{module}.weight" for module in parents[first]]).values(), strict=True)
    shares = {module: method.shares(place, len(models)) for module, place in placed}
    sole = _sole(models, shares)
    if sole and not 0 < rank < _rank(parents[sole]):
        for name in (CONFIG, TENSORS):
            shutil.copyfile(sole / name, output / name)
        return {"rank": _rank(parents[sole]), "norm_kept": 1.0}
    sums = {module: _sum(module, models, parents, each) for module, each in shares.items()}
    changes, report = _resized(sums, rank)
    _write(changes, _widest(parents.values()), output)
    # Every module has the same rank, and the scale 1.
    own = {"r": report["rank"], "lora_alpha": report["rank"], "rank_pattern": {}, "alpha_pattern": {}}
    write_json(output / CONFIG, {**_config(first), **own, "use_rslora": False})
    return report


def check_adapters_base(base: Path, adapters: Sequence[Path]) -> None:
    """Raise a `UserError` unless full weights have the layers that the adapters change, in the same sizes."""
    shapes = Checkpoint(base).shapes
    for folder in adapters:
        for module, change in read_adapter(folder).items():
            shape = shapes.get(f"{module}.weight")
            if shape != _shape(change):
                there = "nothing of that name" if shape is None else by(shape)
                changed = f"{folder} changes {module}, {by(_shape(change))}"
                raise UserError(f"{changed}; {base} has {there}: name the base of the adapter")


def _check_alike(parents: Mapping[Path, Changes]) -> None:
    first, *others = parents
    base = _config(first).get("base_model_name_or_path")
    for other in others:
        if (name := _config(other).get("base_model_name_or_path")) != base:
            raise UserError(f"{first} is an adapter for {base}, {other} one for {name}: {_REMEDY}")
    shapes = {folder: {name: _shape(each) for name, each in changes.items()} for folder, changes in parents.items()}
    check_alike(shapes, _REMEDY)


def _config(adapter: Path) -> dict[str, Any]:
    return read_object(adapter / CONFIG, "copy the adapter again")


def _shape(change: Change) -> tuple[int, ...]:
    return len(change.up), change.down.shape[1]


def _rank(changes: Changes) -> int:
    return max(len(change.down) for change in changes.values())


def _widest(adapters: Iterable[Changes]) -> torch.dtype:
    """Return the narrowest dtype that holds the numbers of all adapters."""
    changes = (each for adapter in adapters for each in adapter.values())
    return reduce(torch.promote_types, (matrix.dtype for each in changes for matrix in (each.down, each.up)))


def _sole(models: Sequence[Path | None], shares: Mapping[str, Shares]) -> Path | None:
    """Return the adapter that has share 1 in every module, if there is one."""
    found = {only(each) for each in shares.values()}
    index = found.pop() if len(found) == 1 else None
    return None if index is None else models[index]


def _sum(module: str, models: Sequence[Path | None], parents: Mapping[Path, Changes], shares: Shares) -> Change:
    pairs = [(parents[folder][module], share) for folder, share in zip(models, shares, strict=True) if folder]
    return weighted_sum([change for change, _ in pairs], tuple(share for _, share in pairs))


def _resized(changes: Changes, rank: int) -> tuple[Changes, dict[str, Any]]:
    """Bring all modules to one rank, which every engine can read."""
    whole = _rank(changes)
    if not 0 < rank < whole:
        return {module: padded(change, whole) for module, change in changes.items()}, {"rank": whole, "norm_kept": 1.0}
    bar = tqdm(changes.items(), desc="cutting back", unit="module")
    cuts = {module: cut(change, rank) for module, change in bar}
    kept, total = (sum(getattr(each, name) for each in cuts.values()) for name in ("kept", "whole"))
    share = math.sqrt(kept / total) if total else 1.0
    return {module: each.change for module, each in cuts.items()}, {"rank": rank, "norm_kept": round(share, 6)}


def weighted_sum(changes: Sequence[Change], shares: Shares) -> Change:
    """Return the sum of share x scale x B A, exactly: B = [share x scale x B, ...], A = [A; ...], scale 1, float32."""
    pairs = list(zip(changes, shares, strict=True))
    up = torch.cat([change.up.float() * (share * change.scale) for change, share in pairs], dim=1)
    return Change(torch.cat([change.down.float() for change in changes]), up, 1.0)


def cut(change: Change, rank: int) -> Cut:
    """Return the nearest product of this rank (Eckart and Young 1936), from the small matrices alone.

    B = Q R and A' = P S, so B A = Q (R S') P', and only the small R S' is decomposed. The singular values' roots go to
    both sides. Zeros fill the rest if there are fewer singular values than `rank`.
    """
    left, small_left = torch.linalg.qr(change.up * change.scale)
    right, small_right = torch.linalg.qr(change.down.T)
    u, values, v = torch.linalg.svd(small_left @ small_right.T)
    roots = values[:rank].sqrt()
    up = left @ u[:, : len(roots)] * roots
    down = roots[:, None] * (v[: len(roots)] @ right.T)
    return Cut(padded(Change(down, up, 1.0), rank), float(values[:rank].square().sum()), float(values.square().sum()))


def padded(change: Change, rank: int) -> Change:
    """Return the same product, filled with zeros up to `rank`."""
    missing = rank - len(change.down)
    pad = torch.nn.functional.pad
    return Change(pad(change.down, (0, 0, 0, missing)), pad(change.up, (0, missing)), change.scale)


def _write(changes: Changes, dtype: torch.dtype, output: Path) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for module, change in changes.items():
        for side, matrix in (("A", change.down), ("B", change.up)):
            tensors[matrix_name(module, side)] = matrix.to(dtype)
    write_tensors(output / TENSORS, tensors)
