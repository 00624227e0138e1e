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

from utilities.errors import UserError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


class Checkpoint:
    """The safetensors files of a folder; `shapes`, `dtypes` and `sizes` (bytes) are their headers', in files' order.

    The files are mapped into memory, so what was read once is the system's to drop.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; its files are opened by `with`."""
        self.folder = folder
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtypes: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self._files: dict[str, Any] = {}
        self._open = ExitStack()
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        """Open the files.

        Raises:
            UserError: one is missing or damaged, or holds quantised weights.
        """
        _check_config(self.folder)
        with ExitStack() as opened:
            for path in weight_files(self.folder):
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
            UserError: it holds what is no number.
        """
        tensor: torch.Tensor = self._files[name].get_tensor(name)
        if not finite(tensor):
            raise UserError(f"{self.folder}: {name} holds values that are no numbers: fetch or train the model again")
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
            self._files[name], self.shapes[name] = file, tuple(header.get_shape())
            self.dtypes[name] = header.get_dtype()
            self.sizes[name] = math.prod(self.shapes[name]) * _bytes(self.dtypes[name])


def check_alike(checkpoints: Sequence[Checkpoint]) -> None:
    """See that all have the same tensors in the same shapes and types.

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
            if (dtype := first.dtypes[name]) != (there := other.dtypes[name]):
                raise UserError(
                    f"{name} is {dtype} in {first.folder} and {there} in {other.folder}: "
                    "write one of them in the dtype of the other"
                )


def finite(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor holds numbers alone."""
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


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
        raise UserError(f"{folder} holds quantised weights: mix the dense ones, then quantise the result")


def weight_files(folder: Path) -> list[Path]:
    """Return the files that transformers would load: the single one, those of the index, or all without either.

    Raises:
        UserError: there is none, one that the index names is missing, or there are both a single one and an index.
    """
    index = folder / INDEX
    if not index.is_file():
        found = [folder / SINGLE] if (folder / SINGLE).is_file() else sorted(folder.glob("*.safetensors"))
        if not found:
            raise UserError(f"{folder} holds no safetensors file: name a model in Hugging Face layout")
        return found
    if (folder / SINGLE).is_file():
        raise UserError(f"{folder} holds {SINGLE} and {INDEX}, which names other files: remove what does not belong")
    named = _read(index).get("weight_map")
    if not isinstance(named, dict):
        raise UserError(f"{index} has no weight_map: fetch the model again")
    files = [folder / name for name in sorted(set(map(str, named.values())))]
    for path in files:
        if path.parent != folder or not path.is_file():
            raise UserError(f"{index} names {path.name}, which {folder} lacks: fetch the model again")
    return files


def _read(path: Path) -> dict[str, Any]:
    try:
        values: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): fetch the model again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} holds a {type(values).__name__}, not names and values: fetch the model again")
    return values
