"""What is read and checked of a dense model folder before hours are spent on quantising it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import AutoTokenizer

from utilities.errors import UserError

_ARCHITECTURES = ("llama", "mistral", "qwen2")
_OUTPUTS = 64  # the search for clipping thresholds takes so many outputs at a time, in gptqmodel and in AutoAWQ
_USUAL_GROUPS = (128, 64, 32)
_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def check_source(folder: Path, group_size: int) -> dict[str, Any]:
    """Return the config of a folder that can be quantised in groups of `group_size` inputs.

    Raises:
        UserError: no model is there, it is quantised already or of another architecture, or its layers do not divide.
    """
    config = _config(folder)
    _check_dense(folder, config)
    if config.get("model_type") not in _ARCHITECTURES:
        raise UserError(
            f"{folder / 'config.json'}: model_type is {config.get('model_type')!r}; gptqmodel makes AWQ weights that "
            f"load again for {', '.join(_ARCHITECTURES)} only: take a published AWQ checkpoint"
        )
    layers = config.get("num_hidden_layers")
    if type(layers) is not int or layers < 1:
        raise UserError(
            f"{folder / 'config.json'}: num_hidden_layers is {layers!r}; it has to be how many layers the model has: "
            "fetch the file again"
        )
    shapes = dict(_layer_shapes(folder))
    if not shapes:
        raise UserError(f"{folder} holds no linear layer in safetensors files: fetch the model again")
    _check_shapes(shapes, group_size)
    return config


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a model folder.

    Raises:
        UserError: it has none, or a damaged one.
    """
    # Without one, transformers makes an empty tokenizer for some architectures.
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise UserError(f"{folder} has no tokenizer, no {' or '.join(_VOCABULARIES)}: put the model's own files there")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers knows no narrower one
        reason = " ".join(str(error).split())
        raise UserError(
            f"{folder}: the tokenizer cannot be loaded ({type(error).__name__}: {reason}): fetch its files again"
        ) from error


def _config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise UserError(f"--source {folder} is no folder: name a model in Hugging Face layout")
    path = folder / "config.json"
    try:
        config: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): name a folder that holds a model") from None
    if not isinstance(config, dict):
        raise UserError(f"{path} holds a {type(config).__name__}, not the fields of a model: fetch the file again")
    return config


def _check_dense(folder: Path, config: dict[str, Any]) -> None:
    if "quantization_config" not in config:
        return
    found = config["quantization_config"]
    if isinstance(found, dict):
        method = found.get("quant_method", "some method")
        raise UserError(f"{folder} is quantised already ({method}): name the dense model that it was made from")
    raise UserError(
        f"{folder / 'config.json'}: quantization_config is {json.dumps(found)}; a dense model has no such field: "
        "remove it if this is one"
    )


def _layer_shapes(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the name and the (outputs, inputs) of every linear layer of every block, from the files' headers."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 - no mapping
                    shape = opened.get_slice(name).get_shape()
                    if name.endswith("_proj.weight") and len(shape) == 2:
                        yield name.removesuffix(".weight"), (shape[0], shape[1])
        except (OSError, SafetensorError) as error:
            raise UserError(f"{path} cannot be read ({error}): fetch the model again") from None


def _check_shapes(shapes: dict[str, tuple[int, int]], group_size: int) -> None:
    for name, (outputs, inputs) in shapes.items():
        if inputs % group_size:
            fitting = [size for size in _USUAL_GROUPS if all(shape[1] % size == 0 for shape in shapes.values())]
            remedy = f"give --group-size {fitting[0]}" if fitting else "no usual group size fits this model"
            raise UserError(f"groups of {group_size} do not divide the {inputs} inputs of {name}: {remedy}")
        if outputs % _OUTPUTS:
            raise UserError(f"{name} has {outputs} outputs; AWQ wants multiples of {_OUTPUTS}: keep this model dense")
