"""Pairs of parents with full weights, and the command that mixes models."""

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tuning.merging.hybridizing import LAYERS, Make, child_of

if TYPE_CHECKING:
    import torch


@pytest.fixture(scope="session")
def parents(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> "dict[torch.dtype, tuple[Path, Path]]":
    """Two models of each dtype; a number of each tensor is the negative zero, which sums lose."""
    import torch
    from safetensors.torch import load_file, save_file

    from tests.tiny_model import save_tiny_model

    made = {}
    for dtype in (torch.float32, torch.bfloat16):
        folders = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
        for seed, folder in enumerate(folders):
            save_tiny_model(folder, num_hidden_layers=LAYERS)
            torch.manual_seed(seed)
            tensors = load_file(folder / "model.safetensors")
            changed = {name: (each + 0.1 * torch.randn_like(each)).to(dtype) for name, each in tensors.items()}
            for tensor in changed.values():
                tensor.view(-1)[0] = -0.0
            save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        made[dtype] = folders
    return made


@pytest.fixture
def full_pair(parents: "dict[torch.dtype, tuple[Path, Path]]", tmp_path: Path) -> tuple[Path, Path]:
    """Copies of the float32 parents, to be damaged."""
    import torch

    copies = tmp_path / "a", tmp_path / "b"
    for folder, copy in zip(parents[torch.float32], copies, strict=True):
        shutil.copytree(folder, copy)
    return copies


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Run the command and return the child's folder."""

    return partial(child_of, tmp_path)
