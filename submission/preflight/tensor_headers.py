"""What a safetensors file says of itself: its header is read, its tensors are not."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submission.preflight.verdict import FailedError

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
FLOATS: Mapping[str, int] = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_LENGTH_BYTES = 8
# The format allows no header over 100 MB.
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Tensor:
    """Type, shape and bytes of one tensor."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def elements(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


def read_tensors(path: Path) -> tuple[Tensor, ...]:
    """Read the header and compare it with the size of the file.

    Raises:
        FailedError: the file is a pointer of Git LFS, no safetensors file, or cut short.
    """
    with path.open("rb") as file:
        start = file.read(len(LFS_POINTER))
        if start == LFS_POINTER:
            raise FailedError(f"{path.name} is a pointer of Git LFS, not the weights", "run `git lfs pull`")
        length = int.from_bytes(start[:_LENGTH_BYTES], "little")
        file.seek(_LENGTH_BYTES)
        header = file.read(length) if length <= _LONGEST_HEADER else b""
    try:
        tensors = tuple(_tensors(json.loads(header)))
        end = max(offset for _, offset in tensors)
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        raise FailedError(f"{path.name} is no safetensors file", "download it again, or convert it") from None
    expected, actual = _LENGTH_BYTES + length + end, path.stat().st_size
    if actual != expected:
        raise FailedError(f"{path.name} has {actual:,} bytes, its header says {expected:,}", "download it again")
    return tuple(tensor for tensor, _ in tensors)


def _tensors(header: Mapping[str, Any]) -> Iterator[tuple[Tensor, int]]:
    """Yield each tensor and the offset at which it ends."""
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            yield Tensor(name, entry["dtype"], tuple(map(int, entry["shape"])), end - begin), end
