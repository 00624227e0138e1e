"""The check of a folder of weights, which every tool makes before it loads them; it reads headers and JSON alone."""

import os
from pathlib import Path
from typing import Any

from models.engines.adapter_config import CONFIG as ADAPTER_CONFIG
from models.engines.damaged_files import DamagedFileError, read_model_json, refuse_foreign
from models.engines.quantization import check_quantization
from models.engines.safetensors_header import Tensor
from models.engines.tokenizer_files import check_tokenizer
from models.engines.weight_shards import PICKLED, folder_tensors
from utilities.errors import UserError
from utilities.files import ROOT

DEFAULT_FOLDER = ROOT / "models" / "weights" / "smollm2-135m-instruct"
VARIABLE = "SHOPALIGN_WEIGHTS"
_CONFIG, _GENERATION = "config.json", "generation_config.json"
_OF_A_MODEL = (_CONFIG, "*.safetensors*", *PICKLED, "*.gguf")
_NAMED_BY = f"engine.weights or the environment variable {VARIABLE}"


def default_weights() -> Path:
    """Return the folder that SHOPALIGN_WEIGHTS names, else the default model's."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else DEFAULT_FOLDER


def missing_weights_message(path: Path, source: str = "", named_by: str = _NAMED_BY) -> str:
    """Return a sentence that `path` holds no model, and how to get one.

    `source` is the model's repository on the hub, if known; `named_by` is the option or setting that names a folder.
    """
    remedy = f"copy the files of {source} there (JSON and safetensors), or " if source else ""
    if path == DEFAULT_FOLDER:
        remedy = "run `python -m models.engines.weights fetch` in the repository's root (93 MB, about a minute), or "
    return f"no model weights at {path}: {remedy}name a folder that holds config.json and *.safetensors by {named_by}"


def check_model(folder: Path, source: str = "", named_by: str = _NAMED_BY) -> tuple[Tensor, ...]:
    """Check the config, the weights and the tokenizer of a model; return the tensors.

    Raises:
        UserError: there is no model; the message is that of `missing_weights_message`.
        DamagedFileError: a file is missing, damaged or of another kind.
    """
    tensors = check_weights(folder, source, named_by)
    check_tokenizer(folder)
    return tensors


def check_weights(folder: Path, source: str = "", named_by: str = _NAMED_BY) -> tuple[Tensor, ...]:
    """Check the config and the weights of a model, which may lack a tokenizer; return the tensors.

    Raises:
        UserError: there is no model; the message is that of `missing_weights_message`.
        DamagedFileError: a file is missing, damaged or of another kind.
    """
    if folder.is_file():
        refuse_foreign(folder)
        raise DamagedFileError(folder, "is a file, not a folder of weights", "name the folder that holds it")
    if not any(True for pattern in _OF_A_MODEL for _ in folder.glob(pattern)):
        raise UserError(missing_weights_message(folder, source, named_by))
    config = _checked_config(folder)
    tensors = folder_tensors(folder)
    check_quantization(folder, config, tensors)
    return tensors


def _checked_config(folder: Path) -> dict[str, Any]:
    path = folder / _CONFIG
    if not path.exists() and (folder / ADAPTER_CONFIG).exists():
        raise DamagedFileError(folder, "is a LoRA adapter, not a whole model", "name the folder of its base")
    config = read_model_json(path)
    if not {"model_type", "architectures"} & config.keys():
        raise DamagedFileError(path, "is no model's config: it has no model_type", "copy the model's own")
    if (folder / _GENERATION).exists():
        read_model_json(folder / _GENERATION)
    return config
