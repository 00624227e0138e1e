"""Checks that no setting, link or module names a path outside the repository."""

import re
from collections.abc import Iterator, Mapping

from submission.preflight.imports import reached
from submission.preflight.repository import FailedError, Repository


def check_paths(repository: Repository) -> str:
    """Require that no setting, link or module names a file outside of the repository."""
    for name, value in _texts(repository.settings.values, ""):
        if value.startswith(("/", "~", "\\")) or re.match(r"[A-Za-z]:\\", value) or ".." in re.split(r"[/\\]", value):
            raise FailedError(
                f"setting {name} is {value!r}, outside of the repository",
                "name a path in the repository, relative to its root",
            )
    if repository.needs_weights:
        # Both properties require folders inside of the repository.
        _ = repository.weights_folder, repository.adapters
    for name in repository.files:
        path = repository.root / name
        if path.is_symlink() and not (path.exists() and path.resolve().is_relative_to(repository.root)):
            raise FailedError(f"{name} is a link that leads out of the repository", "put the file itself there")
    if repository.needs_weights:
        _require_no_links_to_weights(repository)
    for name, found in reached(repository).items():
        for line, text in found.machine_paths:
            raise FailedError(
                f"{name}, line {line}: {text!r} is a path of one machine", "build paths from the repository's root"
            )
    return "all inside of the repository"


def _texts(value: object, name: str) -> Iterator[tuple[str, str]]:
    """Yield every text of the settings with its name, such as "engine.weights"."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, name)
    elif isinstance(value, str):
        yield name, value


def _require_no_links_to_weights(repository: Repository) -> None:
    """Refuse a link on the way to the weights or among them: git stores the link, and Git LFS never sees the file."""
    weights = repository.weights_folder
    above = [folder for folder in (weights, *weights.parents) if folder.is_relative_to(repository.root)]
    inside = (folder / name for folder, folders, files in repository.walk_weights() for name in (*folders, *files))
    link = next((path for path in (*reversed(above), *inside) if path.is_symlink()), None)
    if link is not None:
        raise FailedError(
            f"{repository.name_of(link)} is a link: git would store the link and no weights",
            "put the files themselves there (`cp --recursive --dereference`)",
        )
