"""The check of the catalogue in the settings: it must be complete, inside the repository, and in git."""

import os
from pathlib import Path

from retrieval.products.catalogue import Catalog
from retrieval.products.manifest import MANIFEST
from submission.preflight.repository import Repository
from submission.preflight.verdict import FailedError, listed
from utilities.errors import UserError


def check_catalogue(repository: Repository) -> str:
    """Check that the catalogue of the settings can be opened and is committed with the code."""
    named = repository.settings.values["knowledge"]["catalog"]
    if not named:
        return "none is named"
    folder = Path(os.path.normpath(repository.root / named))
    if not folder.is_relative_to(repository.root):
        raise FailedError(f"{named} lies outside of the repository", "build it inside", "paths")
    try:
        manifest = Catalog.open(folder).manifest
    except UserError as error:
        raise FailedError(str(error), "build it, or clear knowledge.catalog in models/settings.yaml") from None
    names = [MANIFEST, *(entry.name for entry in manifest.files)]
    files = [(folder / name).relative_to(repository.root).as_posix() for name in names]
    missing = [file for file in files if file not in repository.tracked]
    if missing:
        raise FailedError(f"not in git: {listed(missing)}", f"run `git lfs track '{named}/**'`, then `git add {named}`")
    return f"{named}: {manifest.counts.products} products, {len(files)} files in git"
