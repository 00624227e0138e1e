"""Reads a model's folder with transformers, for both engines: arguments, model class, installation command."""

from typing import Any

import transformers

LOCAL = {"local_files_only": True, "trust_remote_code": False}
"""Arguments of transformers: read local files only, and run no code of a model's folder."""
INSTALL = (
    "pip install -r requirements.txt && pip install --no-build-isolation -r requirements.txt -r requirements-gpu.txt"
)
"""The command that installs the packages for GPUs."""


def model_class(config: Any) -> Any:
    """Return the class of transformers that a model's config names.

    Raises:
        ValueError: this release of transformers has none of that name.
    """
    named = (config.architectures or ["none"])[0]
    if not hasattr(transformers, named):
        raise ValueError(f"its config.json names the architecture {named}, which this release of transformers lacks")
    return getattr(transformers, named)
