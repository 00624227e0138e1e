"""A copy of this repository, small enough to be broken in many ways: a git repository with a tiny model's weights."""

import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_adapter import save_tiny_adapter
from utilities.files import ROOT

WEIGHTS = "models/weights/smollm2-135m-instruct"
ADAPTER = "models/adapters/one"
SCRIPTED = "engine:\n  name: scripted\n"


def isolate_git(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let neither the machine's nor the person's settings of git matter: no `git lfs install` was ever run."""
    settings = folder / "gitconfig"
    settings.write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    for name in [name for name in os.environ if name.startswith("SHOPALIGN_")]:
        monkeypatch.delenv(name)


def git(root: Path, *arguments: str) -> str:
    """Run git in `root` and return what it prints."""
    ended = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def make_copy(folder: Path, weights: Path) -> None:
    """Copy what git knows or would take up of this repository, commit it, and put `weights` where they belong.

    The catalogue's adapters are left out: they belong to other weights.
    """
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    catalogue = folder / "models" / "engines" / "model_registry.yaml"
    catalogue.write_text(re.sub(r"\n +adapter: .*", "", catalogue.read_text(encoding="utf-8")), encoding="utf-8")
    git(folder.parent, "init", "--quiet", str(folder))
    commit(folder)
    shutil.copytree(weights, folder / WEIGHTS)


def make_template(folder: Path, weights: Path, **aicrowd: Any) -> Path:
    """Make a committed copy in `folder` whose aicrowd.json has these fields, and return it."""
    copy = folder / "copy"
    with pytest.MonkeyPatch.context() as patch:
        isolate_git(patch, folder)
        make_copy(copy, weights)
        edit_aicrowd(copy, **aicrowd)
        commit(copy)
    return copy


def copy_of(template: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy a template into `folder`, to be broken there, and return the copy."""
    isolate_git(monkeypatch, folder)
    shutil.copytree(template, folder / "copy", symlinks=True)
    return folder / "copy"


def commit(root: Path) -> None:
    """Commit everything that is not ignored."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "copy")


def edit(root: Path, name: str, change: Callable[[str], str]) -> None:
    """Change a text file; a change that changes nothing is a mistake in the test."""
    path = root / name
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before, f"{name} was not changed"
    path.write_text(after, encoding="utf-8")


def edit_aicrowd(root: Path, **fields: object) -> None:
    """Set fields of aicrowd.json."""
    content: dict[str, Any] = json.loads((root / "aicrowd.json").read_text(encoding="utf-8"))
    (root / "aicrowd.json").write_text(json.dumps({**content, **fields}), encoding="utf-8")


def use_scripted_engine(root: Path) -> None:
    """Run without a model, so that a run takes a second."""
    (root / "models" / "settings.yaml").write_text(SCRIPTED)


def add_adapter(root: Path, settings: str = "", **adapter: Any) -> None:
    """Put a LoRA adapter for the tiny weights into the repository, and name it in the settings with others."""
    save_tiny_adapter(root / ADAPTER, root / WEIGHTS, 1, **adapter)
    (root / "models" / "settings.yaml").write_text(settings or f"engine: {{adapter: {ADAPTER}}}\n", encoding="utf-8")


def write_sparse_tensor(path: Path, elements: int, dtype: str = "F32") -> None:
    """Write a safetensors file of one tensor that takes no room on the disk."""
    write_sparse_tensors(path, {"w": [elements]}, dtype)


def write_sparse_tensors(path: Path, shapes: Mapping[str, Sequence[int]], dtype: str = "F32") -> None:
    """Write a safetensors file of tensors that take no room on the disk."""
    end, entries = 0, {}
    for name, shape in shapes.items():
        start, end = end, end + math.prod(shape) * {"F32": 4, "F16": 2, "I32": 4}[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    header = json.dumps(entries).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + end)


def cached_weights(root: Path) -> None:
    """Lay the shard as a cache of the hub does: a relative link to a blob that lies in the repository."""
    shard, blob = root / WEIGHTS / "model.safetensors", root / WEIGHTS / ".blobs" / "0"
    blob.parent.mkdir()
    shard.rename(blob)
    shard.symlink_to(".blobs/0")


def linked_folder(root: Path) -> None:
    """Put the weights beside, and a link where their parent folder was."""
    weights = Path(WEIGHTS).parent
    (root / weights).rename(root / "store")
    (root / weights).symlink_to("../store")
    edit(root, ".gitignore", lambda text: f"{text}\nstore/\n")
