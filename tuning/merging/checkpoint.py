"""A model's full weights, read one tensor at a time, and whether several models are alike."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open

from tuning.merging.finite import check_finite
from utilities.errors import UserError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


class Checkpoint:
    """The safetensors files of a folder as transformers loads them, refused where it would load another set.

    `shapes`, `sizes` (bytes) and `dtypes` (such as BF16) are their headers', `paths` says each tensor's file, all in
    the files' order.

    The files are mapped into memory, so what was read once is the system's to drop.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; its files are opened by `with`."""
        self.folder = folder
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.sizes: dict[str, int] = {}
        self.dtypes: dict[str, str] = {}
        self.paths: dict[str, Path] = {}
        self._files: dict[str, Any] = {}
        self._open = ExitStack()
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        """Open the files.

        Raises:
            UserError: one is missing, damaged or left over, or holds quantised weights.
        """
        _check_config(self.folder)
        with ExitStack() as opened:
            for path in _files(self.folder):
                self._add(path, opened)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files."""
        self._open.close()

    def read(self, name: str) -> torch.Tensor:
        """Return one tensor.

        Raises:
            UserError: a number of it is not finite.
        """
        tensor: torch.Tensor = self._files[name].get_tensor(name)
        check_finite(self.paths[name], name, tensor)
        self._digest.update(name.encode())
        self._digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
        return tensor

    def digest(self) -> str:
        """Return the SHA-256 of what was read; a fingerprint would not tell models of the same shapes apart."""
        return self._digest.hexdigest()

    def _add(self, path: Path, opened: ExitStack) -> None:
        try:
            file = opened.enter_context(safe_open(path, "pt"))
        except (OSError, SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path} cannot be read ({reason}): fetch the model again") from error
        for name in file.offset_keys():
            header = file.get_slice(name)
            self._files[name], self.paths[name] = file, path
            self.shapes[name], self.dtypes[name] = tuple(header.get_shape()), header.get_dtype()
            self.sizes[name] = math.prod(self.shapes[name]) * _bytes(self.dtypes[name])


def check_alike(checkpoints: Sequence[Checkpoint]) -> None:
    """See that all have the same tensors in the same shapes.

    Raises:
        UserError: they differ.
    """
    first, *others = checkpoints
    remedy = "mix models that were tuned from one base"
    for other in others:
        if lacking := sorted(first.shapes.keys() ^ other.shapes.keys()):
            having, without = (first, other) if lacking[0] in first.shapes else (other, first)
            raise UserError(f"{having.folder} has {lacking[0]}, which {without.folder} lacks: {remedy}")
        for name, shape in first.shapes.items():
            if other.shapes[name] != shape:
                there = by(other.shapes[name])
                raise UserError(f"{name} is {by(shape)} in {first.folder} and {there} in {other.folder}: {remedy}")


def check_dtypes(checkpoints: Sequence[Checkpoint]) -> None:
    """See that alike models have their tensors in the same types of numbers, so that none is rounded to another's.

    Raises:
        UserError: they differ.
    """
    first, *others = checkpoints
    for other in others:
        for name, dtype in first.dtypes.items():
            if other.dtypes[name] != dtype:
                raise UserError(
                    f"{name} is {dtype} in {first.folder} and {other.dtypes[name]} in {other.folder}: load one of them "
                    "in the other's dtype by transformers and save it again, for what is mixed has one dtype"
                )


def _bytes(dtype: str) -> int:
    """Return the bytes of one number of a type such as BF16, F8_E4M3 or BOOL."""
    bits = re.search(r"\d+", dtype)
    return int(bits[0]) // 8 if bits else 1


def by(shape: tuple[int, ...]) -> str:
    """Say a shape."""
    return " x ".join(map(str, shape)) or "one number"


def _check_config(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: name a model in Hugging Face layout")
    config = _read(folder / "config.json")
    if config.get("quantization_config"):
        raise UserError(f"{folder} holds quantised weights: name the dense ones, and quantise the result")


def _files(folder: Path) -> list[Path]:
    """Return the files that transformers loads."""
    index, single = folder / INDEX, folder / SINGLE
    if index.is_file() and single.is_file():
        raise UserError(f"{folder} holds {SINGLE}, which is loaded first, and {INDEX}: move away the one left over")
    if index.is_file():
        named = _read(index).get("weight_map")
        if not isinstance(named, dict):
            raise UserError(f"{index} has no weight_map: fetch the model again")
        return [folder / name for name in sorted(set(map(str, named.values())))]
    found = [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        count = f"{len(found)} safetensors files and no {INDEX}" if found else "no safetensors file"
        raise UserError(f"{folder} holds {count}: name a model in Hugging Face layout")
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        values: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch the model again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds a {type(values).__name__}, not names and values: fetch the model again")
    return values
