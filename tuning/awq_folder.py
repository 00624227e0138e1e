"""gptqmodel's result as AutoAWQ would have written it: the same tensors, its config, the source's own tokenizer."""

import json
import shutil
from pathlib import Path
from typing import Any

from utilities.files import write_json

RECORD = "quantization.json"
_WEIGHTS = ("*.safetensors", "model.safetensors.index.json")
_COPIED = (
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "generation_config.json",
    "LICENSE*",
    "NOTICE*",
)


def finish_folder(built: Path, source: Path, folder: Path, group_size: int, record: dict[str, Any]) -> None:
    """Move the weights of `built` into `folder` and put everything else there that a model folder needs."""
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in _COPIED:
        for path in source.glob(pattern):
            shutil.copyfile(path, folder / path.name)
    for pattern in _WEIGHTS:
        for path in built.glob(pattern):
            path.chmod(0o644)  # safetensors writes for its owner alone; the evaluator's user is another one
            path.replace(folder / path.name)
    write_json(folder / "config.json", {**_without_dtype(config), **_quantised(group_size)})
    write_json(folder / RECORD, record)


def _without_dtype(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in ("dtype", "torch_dtype")}


def _quantised(group_size: int) -> dict[str, Any]:
    """Return the fields that AutoAWQ 0.2.9 writes; transformers and vLLM read them alike."""
    return {
        "dtype": "float16",
        "quantization_config": {
            "bits": 4,
            "group_size": group_size,
            "modules_to_not_convert": None,
            "quant_method": "awq",
            "version": "gemm",
            "zero_point": True,
        },
    }
