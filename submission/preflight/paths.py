"""Paths that lead out of the repository: in settings, links and modules."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from submission.preflight.imports import reached
from submission.preflight.repository import Repository
from submission.preflight.verdict import FailedError


def check_paths(repository: Repository) -> str:
    """Require that no setting, link or module names a file outside of the repository."""
    for name, value in _texts(repository.settings.values, ""):
        if _leads_out(value):
            raise FailedError(
                f"setting {name} is {value!r}, outside of the repository",
                "name a path in the repository, relative to its root",
            )
    if repository.needs_weights:
        _ = repository.weights_folder, repository.adapters
    _require_inner_links(repository)
    if repository.needs_weights:
        _require_no_links_to_weights(repository)
    for name, found in reached(repository).items():
        for line, text in found.machine_paths:
            raise FailedError(
                f"{name}, line {line}: {text!r} is a path of one machine", "build paths from the repository's root"
            )
    return "all inside of the repository"


def _texts(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, name)
    elif isinstance(value, str):
        yield name, value


def _leads_out(value: str) -> bool:
    outside = value.startswith(("/", "~", "\\")) or re.match(r"[A-Za-z]:\\", value)
    return bool(outside) or ".." in re.split(r"[/\\]", value)


def _require_inner_links(repository: Repository) -> None:
    for name in repository.files:
        path = repository.root / name
        if path.is_symlink() and not (path.exists() and path.resolve().is_relative_to(repository.root)):
            raise FailedError(f"{name} is a link that leads out of the repository", "put the file itself there")


def _require_no_links_to_weights(repository: Repository) -> None:
    """Git stores a link as a link, also inside of the repository, so that Git LFS never sees the weights."""
    link = next((path for path in _on_the_way_to_weights(repository) if path.is_symlink()), None)
    if link is not None:
        raise FailedError(
            f"{link.relative_to(repository.root).as_posix()} is a link: git would store the link and no weights",
            "put the files themselves there (`cp --recursive --dereference`)",
        )


def _on_the_way_to_weights(repository: Repository) -> Iterator[Path]:
    """Yield the folder of the weights with its parents in the repository, then what it holds, hidden folders apart."""
    weights = repository.weights_folder
    yield from (folder for folder in (*reversed(weights.parents), weights) if folder.is_relative_to(repository.root))
    for folder, folders, files in os.walk(weights):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in (*folders, *sorted(files)))
