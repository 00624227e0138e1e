"""What is checked of a dense model folder before hours are spent on quantising it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from utilities.errors import UserError

_ARCHITECTURES = ("llama", "mistral", "qwen2")
_OUTPUTS = 64  # the search for clipping thresholds takes so many outputs at a time, in gptqmodel and in AutoAWQ
_USUAL_GROUPS = (128, 64, 32)


def check_source(folder: Path, group_size: int) -> dict[str, Any]:
    """Return the config of a folder that can be quantised in groups of `group_size` inputs.

    Raises:
        UserError: no model is there, it is quantised already or of another architecture, or its layers do not divide.
    """
    config = _config(folder)
    if "quantization_config" in config:
        method = config["quantization_config"].get("quant_method", "some method")
        raise UserError(f"{folder} is quantised already ({method}): name the dense model that it was made from")
    if config.get("model_type") not in _ARCHITECTURES:
        raise UserError(
            f"{folder / 'config.json'}: model_type is {config.get('model_type')!r}; gptqmodel makes AWQ weights that "
            f"load again for {', '.join(_ARCHITECTURES)} only: take a published AWQ checkpoint"
        )
    shapes = dict(_layer_shapes(folder))
    if not shapes:
        raise UserError(f"{folder} holds no linear layer in safetensors files: fetch the model again")
    _check_shapes(shapes, group_size)
    return config


def _config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise UserError(f"--source {folder} is no folder: name a model in Hugging Face layout")
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder / 'config.json'} cannot be read ({error}): name a folder that holds a model"
        ) from None
    return config


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
