"""Fingerprints identify weights without reading all of them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from utilities.fingerprint import fingerprint


def saved(folder: Path, tensor: NDArray[np.float32]) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    save_file({"weight": tensor}, folder / "model.safetensors")
    return folder


def test_a_tuned_model_is_told_from_its_base_whose_header_is_the_same(tmp_path: Path) -> None:
    base = np.zeros((512, 1024), np.float32)
    tuned = base + 0.001
    assert fingerprint(saved(tmp_path / "a", base)) == fingerprint(saved(tmp_path / "b", base.copy()))
    assert fingerprint(tmp_path / "a") != fingerprint(saved(tmp_path / "c", tuned))


def test_the_last_numbers_count_as_the_first_do(tmp_path: Path) -> None:
    base = np.zeros((512, 1024), np.float32)
    found = [fingerprint(saved(tmp_path / "base", base))]
    for index in (0, -1):
        changed = base.copy()
        changed.reshape(-1)[index] = 1
        found.append(fingerprint(saved(tmp_path / str(index), changed)))
    assert len(set(found)) == 3


def test_files_shorter_than_a_block_have_a_fingerprint(tmp_path: Path) -> None:
    one, two = (
        fingerprint(saved(tmp_path / name, np.full(2, value, np.float32))) for name, value in (("a", 1.0), ("b", 2.0))
    )
    assert one != two
    (tmp_path / "a" / "model.safetensors").write_bytes(b"")
    assert len(fingerprint(tmp_path / "a")) == 64
