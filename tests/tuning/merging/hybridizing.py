"""Runs the command that hybridises, for full weights and for adapters."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from utilities.errors import UserError

Make = Callable[..., Path]
LAYERS = 3


def child_of(folder: Path, recipe: str, *models: Path, base: Path | None = None, rank: int | None = None) -> Path:
    """Mix models by a recipe, below `folder`, and return the child's folder."""
    path, output = folder / "recipe.yaml", folder / "made" / "child"
    path.write_text(recipe, encoding="utf-8")
    shutil.rmtree(output, ignore_errors=True)
    arguments = ["--recipe", str(path), "--output", str(output), "--parents", *map(str, models)]
    arguments += ["--base", str(base)] if base else []
    arguments += ["--rank", str(rank)] if rank is not None else []
    from tuning import hybridize

    assert hybridize.main(arguments) == 0
    return output


def assert_refused(folder: Path, pair: tuple[Path, Path], words: str) -> None:
    """See that the pair is refused in one sentence that matches `words`, and that nothing is left below `folder`."""
    with pytest.raises(UserError, match=words) as told:
        child_of(folder, "method: slerp", *pair)
    assert "\n" not in str(told.value)
    assert not list((folder / "made").glob("*"))
