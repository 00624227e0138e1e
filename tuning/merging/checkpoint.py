"""A model's full weights, read one tensor at a time, and the checks that several models are alike."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from models.engines.damaged_files import read_model_json
from models.engines.quantization import quantization_of
from models.engines.safetensors_header import read_tensors
from models.engines.weight_shards import weight_files
from tuning.model_files import check_finite
from utilities.errors import UserError


class Checkpoint:
    """The safetensors files that transformers loads from a folder.

    `shapes`, `sizes` (bytes), `dtypes` (such as BF16) and `paths` have an entry for each tensor, in the files' order.
    The files are mapped into memory, so that the system can free pages that were read.
    """

    def __init__(self, folder: Path) -> None:
        """Open the files, or raise a `UserError` if one is missing, damaged, superfluous or quantised."""
        self.folder = folder
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.sizes: dict[str, int] = {}
        self.dtypes: dict[str, str] = {}
        self.paths: dict[str, Path] = {}
        self._files: dict[str, Any] = {}
        self._digest = hashlib.sha256()
        if quantization_of(folder, read_model_json(folder / "config.json")):
            raise UserError(f"{folder} holds quantised weights: name the dense ones, and quantise the result")
        for path in weight_files(folder):
            self._add(path)

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor, or raise a `UserError` if a number in it is not finite."""
        tensor: torch.Tensor = self._files[name].get_tensor(name)
        check_finite(self.paths[name], name, tensor)
        self._digest.update(name.encode())
        self._digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
        return tensor

    def digest(self) -> str:
        """Return the SHA-256 of the tensors that were read; unlike a fingerprint, it covers every number."""
        return self._digest.hexdigest()

    def _add(self, path: Path) -> None:
        headers = {tensor.name: tensor for tensor in read_tensors(path)}
        file: Any = safe_open(path, "pt")
        for name in file.offset_keys():
            header = headers[name]
            self._files[name], self.paths[name] = file, path
            self.shapes[name], self.dtypes[name], self.sizes[name] = header.shape, header.dtype, header.bytes


def check_alike(shapes: Mapping[Path, Mapping[str, tuple[int, ...]]], remedy: str) -> None:
    """Raise a `UserError` unless all models or adapters, by their folders, have the same names in the same shapes."""
    first, *others = shapes
    for other in others:
        if lacking := sorted(shapes[first].keys() ^ shapes[other].keys()):
            having, without = (first, other) if lacking[0] in shapes[first] else (other, first)
            raise UserError(f"{having} has {lacking[0]}, which {without} lacks: {remedy}")
        for name, shape in shapes[first].items():
            if shapes[other][name] != shape:
                there = by(shapes[other][name])
                raise UserError(f"{name} is {by(shape)} in {first} and {there} in {other}: {remedy}")


def check_dtypes(checkpoints: Sequence[Checkpoint]) -> None:
    """Raise a `UserError` unless all models have their tensors in the same dtypes: rounding would lose precision."""
    first, *others = checkpoints
    for other in others:
        for name, dtype in first.dtypes.items():
            if other.dtypes[name] != dtype:
                raise UserError(
                    f"{name} is {dtype} in {first.folder} and {other.dtypes[name]} in {other.folder}: load one of them "
                    "in the other's dtype by transformers and save it again, because all parents must have one dtype"
                )


def by(shape: tuple[int, ...]) -> str:
    """Return a shape in words."""
    return " x ".join(map(str, shape)) or "one number"
