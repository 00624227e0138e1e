"""Mixes full weights, one tensor at a time, into files of at most 5 GB.

Memory holds one output file and the largest tensor of each parent, twice in float32.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from models.engines.weight_shards import INDEX, SINGLE
from tuning.merging.checkpoint import Checkpoint, check_alike, check_dtypes
from tuning.merging.method import Method, mixed, places
from tuning.model_files import write_tensors
from tuning.output_folder import copy_files
from utilities.files import write_json

FILE_BYTES = 5_000_000_000


def mix_full_weights(method: Method, models: Sequence[Path], like: Path, output: Path) -> dict[str, Any]:
    """Write the mixed weights into the folder `output`, with all other files from the folder `like`.

    Returns the SHA-256 of each model's weights.

    Raises:
        UserError: a model cannot be read, has other tensors, shapes or dtypes than the first, or a number that is not
            finite.
        OSError: a file cannot be written.
    """
    checkpoints = [Checkpoint(folder) for folder in models]
    _check_alike(checkpoints)
    check_dtypes(checkpoints)
    copy_files(like, output)
    _write(method, checkpoints, output)
    return {"sha256": [checkpoint.digest() for checkpoint in checkpoints]}


def check_full_base(base: Path, models: Sequence[Path]) -> None:
    """Raise a `UserError` unless all models can be read and have the tensors of their base."""
    _check_alike([Checkpoint(folder) for folder in (base, *models)])


def _check_alike(checkpoints: Sequence[Checkpoint]) -> None:
    check_alike({each.folder: each.shapes for each in checkpoints}, "mix models that were tuned from one base")


def _write(method: Method, checkpoints: Sequence[Checkpoint], output: Path) -> None:
    where = places(checkpoints[0].shapes)
    plan = split(checkpoints[0].sizes, FILE_BYTES)
    several = {f"model-{index:05d}-of-{len(plan):05d}.safetensors": names for index, names in enumerate(plan, start=1)}
    files = several if len(plan) > 1 else {SINGLE: plan[0]}
    with tqdm(total=len(where), desc="mixing", unit="tensor") as bar:
        for file, names in files.items():
            tensors: dict[str, torch.Tensor] = {}
            for name in names:
                tensors[name] = mixed(method, where[name], [checkpoint.read(name) for checkpoint in checkpoints])
                bar.update()
            write_tensors(output / file, tensors)
    if len(files) > 1:
        named = {name: file for file, names in files.items() for name in names}
        size = sum(checkpoints[0].sizes.values())
        write_json(output / INDEX, {"metadata": {"total_size": size}, "weight_map": named})


def split(sizes: Mapping[str, int], most: int) -> list[list[str]]:
    """Divide names, in order, into groups of at most `most` bytes; a larger one is a separate group."""
    groups: list[list[str]] = []
    room = 0
    for name, size in sizes.items():
        if not groups or size > room:
            groups.append([])
            room = most
        groups[-1].append(name)
        room -= size
    return groups
