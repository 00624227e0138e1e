"""A model's full weights, read one tensor at a time, and the checks that several models are alike."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from tuning.model_files import FETCH_AGAIN, check_finite, read_config
from utilities.errors import UserError
from utilities.json_files import read_object

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


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
        if read_config(folder).get("quantization_config"):
            raise UserError(f"{folder} holds quantised weights: name the dense ones, and quantise the result")
        for path in _files(folder):
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
        try:
            file: Any = safe_open(path, "pt")
        except (OSError, SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path} cannot be read ({reason}): {FETCH_AGAIN}") from error
        for name in file.offset_keys():
            header = file.get_slice(name)
            self._files[name], self.paths[name] = file, path
            self.shapes[name], self.dtypes[name] = tuple(header.get_shape()), header.get_dtype()
            bits = re.search(r"\d+", self.dtypes[name])  # as in BF16 or F8_E4M3; BOOL takes a byte
            self.sizes[name] = math.prod(self.shapes[name]) * (int(bits[0]) // 8 if bits else 1)


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


def _files(folder: Path) -> list[Path]:
    """Return the files that transformers loads."""
    index, single = folder / INDEX, folder / SINGLE
    if index.is_file() and single.is_file():
        raise UserError(f"{folder} holds {SINGLE}, which is loaded first, and {INDEX}: remove one of them")
    if index.is_file():
        named = read_object(index, FETCH_AGAIN).get("weight_map")
        if not isinstance(named, dict):
            raise UserError(f"{index} has no weight_map: {FETCH_AGAIN}")
        return [folder / name for name in sorted(set(map(str, named.values())))]
    found = [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        count = f"{len(found)} safetensors files and no {INDEX}" if found else "no safetensors file"
        raise UserError(f"{folder} holds {count}: name a model in Hugging Face layout")
    return found
