"""The header of a safetensors file: the names, types and shapes of its tensors, and the reason why it is damaged."""

import json
import math
import re
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from models.engines.damaged_files import DamagedFileError, refuse_foreign, require_file

_LONGEST_HEADER = 100_000_000  # safetensors refuses longer ones
_PREFIX = 8  # bytes that hold the header's length


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
        bits = re.search(r"\d+", self.dtype)  # as in BF16 or F8_E4M3; BOOL takes a byte
        return self.elements * (int(bits[0]) if bits else 8) // 8

    @property
    def is_float(self) -> bool:
        """Whether its elements are floats that an engine converts to `engine.dtype`."""
        return self.dtype in ("F64", "F32", "F16", "BF16")


def read_tensors(path: Path) -> tuple[Tensor, ...]:
    """Read the header of a safetensors file, which also checks the file's length.

    Raises:
        DamagedFileError: the file is missing, cut short, or not a safetensors file.
    """
    require_file(path)
    try:
        with safe_open(path, "numpy") as tensors:
            entries = [(name, tensors.get_slice(name)) for name in tensors.keys()]  # noqa: SIM118 - it is not a mapping
            return tuple(Tensor(name, entry.get_dtype(), tuple(entry.get_shape())) for name, entry in entries)
    except (SafetensorError, OSError) as error:
        refuse_foreign(path)
        raise DamagedFileError(path, _problem(path, " ".join(str(error).split()))) from None


def _problem(path: Path, reason: str) -> str:
    """Return why safetensors cannot read a file, as a predicate."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_PREFIX), "little")
        header = file.read(min(length, _LONGEST_HEADER))
    if size < _PREFIX or not header.startswith(b"{"):
        return f"is not a safetensors file ({reason})"
    if length > size - _PREFIX:
        return f"is cut short: its header takes {length:,} bytes, and the file has {size:,}"
    try:
        ends = [entry["data_offsets"][1] for name, entry in json.loads(header).items() if name != "__metadata__"]
        expected = _PREFIX + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return f"has a header that is not a safetensors file's JSON ({reason})"
    if size == expected:
        return f"cannot be read ({reason})"
    kind = "is cut short" if size < expected else "is too long"
    return f"{kind}: by its header it has {expected:,} bytes, in truth {size:,}"
