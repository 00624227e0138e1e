"""Copies of this repository that tests break: git repositories with a tiny model's weights."""

import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from submission.preflight.registry import Verdict, verdicts
from submission.preflight.repository import Request, UsedSettings, loaded_settings
from utilities.files import ROOT

WEIGHTS = "models/weights/smollm2-135m-instruct"
ADAPTER = "models/adapters/one"
SCRIPTED = "engine:\n  name: scripted\n"
SETTINGS = ("models/settings.yaml", "models/engines/model_registry.yaml")
# The evaluator's image and mount need nothing else; without it a copy takes a tenth of the time.
UNUSED = ("tests/", "docs/", "benchmarks/", "experiments/", "tuning/", "models/adapters/")

Change = Callable[[Path], None]


def isolate_git(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Hide the machine's and the person's settings of git, as if `git lfs install` was never run."""
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


def make_copy(folder: Path, weights: Path, without: tuple[str, ...] = UNUSED) -> None:
    """Copy the files that git tracks or would add, commit them, and add `weights` in their folder.

    Paths that begin with one of `without` are left out. So are the adapters of the model registry, which belong to
    other weights.
    """
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(without):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    registry = folder / "models" / "engines" / "model_registry.yaml"
    registry.write_text(re.sub(r"\n +adapter: .*", "", registry.read_text(encoding="utf-8")), encoding="utf-8")
    git(folder.parent, "init", "--quiet", str(folder))
    commit(folder)
    shutil.copytree(weights, folder / WEIGHTS)


def make_template(folder: Path, weights: Path, change: Change, without: tuple[str, ...] = UNUSED) -> Path:
    """Make a copy in `folder`, change and commit it, and return it."""
    copy = folder / "copy"
    with pytest.MonkeyPatch.context() as patch:
        isolate_git(patch, folder)
        make_copy(copy, weights, without)
        change(copy)
        commit(copy)
    return copy


def copy_of(template: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy a template into `folder` and return the copy."""
    isolate_git(monkeypatch, folder)
    shutil.copytree(template, folder / "copy", symlinks=True)
    return folder / "copy"


def loading_once(known: dict[tuple[bytes, ...], tuple[Path, UsedSettings]]) -> Callable[[Path], UsedSettings]:
    """Return `loaded_settings` that starts no process for settings files that it has loaded in another copy."""

    def load(root: Path) -> UsedSettings:
        key = tuple((root / name).read_bytes() for name in SETTINGS)
        if key not in known:
            known[key] = root, loaded_settings(root)
        old, settings = known[key]
        adapters = tuple(each._replace(folder=root / os.path.relpath(each.folder, old)) for each in settings.adapters)
        return replace(settings, folder=root / os.path.relpath(settings.folder, old), adapters=adapters)

    return load


def failing(root: Path, **request: Any) -> dict[str, Verdict]:
    """Return the verdicts of the checks that fail, by the check."""
    found = verdicts(Request(root, **request))
    return {verdict.check: verdict for verdict in found if verdict.state == "FAIL"}


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


def write(name: str, text: str) -> Change:
    """Return a change that writes a file."""

    def change(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")

    return change


def add_line(name: str, line: str) -> Change:
    """Return a change that adds a line at the end of a file."""
    return lambda root: edit(root, name, lambda text: f"{text}{line}\n")


def drop_line(name: str, part: str) -> Change:
    """Return a change that removes every line with `part`."""
    return lambda root: edit(root, name, lambda text: "".join(x for x in text.splitlines(True) if part not in x))


def edit_aicrowd(root: Path, **fields: object) -> None:
    """Set fields of aicrowd.json."""
    content: dict[str, Any] = json.loads((root / "aicrowd.json").read_text(encoding="utf-8"))
    (root / "aicrowd.json").write_text(json.dumps({**content, **fields}), encoding="utf-8")


def use_scripted_engine(root: Path) -> None:
    """Run without a model, so that a run takes a second."""
    (root / "models" / "settings.yaml").write_text(SCRIPTED)


def add_adapter(root: Path, settings: str = "", **adapter: Any) -> None:
    """Put a LoRA adapter for the tiny weights into the repository, and name it in the settings with others."""
    from tests.tiny_adapter import save_tiny_adapter

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
