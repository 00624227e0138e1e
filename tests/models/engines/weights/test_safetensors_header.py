"""Damaged files of weights are named with a remedy."""

import json
import struct
from pathlib import Path

import pytest

from models.engines.damaged_files import DamagedFileError
from models.engines.safetensors_header import Tensor, read_tensors


def test_names_types_and_sizes_come_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    places = {"a": ("BF16", [2, 3], [0, 12]), "b": ("I32", [4], [12, 28]), "c": ("BOOL", [5], [28, 33])}
    fields = ("dtype", "shape", "data_offsets")
    header = json.dumps({name: dict(zip(fields, place, strict=True)) for name, place in places.items()}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(33))
    found = sorted(read_tensors(path))
    assert found == [Tensor("a", "BF16", (2, 3)), Tensor("b", "I32", (4,)), Tensor("c", "BOOL", (5,))]
    assert [(each.elements, each.bytes, each.is_float) for each in found] == [
        (6, 12, True),
        (4, 16, False),
        (5, 5, False),
    ]


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x10" + b"\0" * 7 + b'{"a":{"dtype":1}', b"[" * 100])
def test_a_damaged_shard_is_a_failure_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"model\.safetensors (is|has)") as caught:
        read_tensors(path)
    assert caught.value.remedy
