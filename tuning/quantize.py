"""Make 4-bit weights from a dense model: AWQ by gptqmodel, written as AutoAWQ writes them (GEMM format)."""

import argparse
import dataclasses
import hashlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from models.engines.damaged_files import read_model_json
from models.engines.quantization import quantization_of
from models.engines.weights_folder import check_model
from tuning.awq_job import RESUMABLE, Job, StoppedError, failures_reported, finish_folder, keeps_layers, quantise
from tuning.calibration_texts import calibration_rows, calibration_texts
from tuning.output_folder import RunFolder
from utilities.errors import UserError, exit_code
from utilities.fingerprint import fingerprint
from utilities.options import command_parser
from utilities.typed_yaml import Positive, build, checked, read_mapping

RECIPE = Path(__file__).parent / "recipes" / "awq.yaml"
_ARCHITECTURES = ("llama", "mistral", "qwen2")
_OUTPUTS = 64  # gptqmodel and AutoAWQ search clipping thresholds for this many outputs at a time
_USUAL_GROUPS = (128, 64, 32)
EXAMPLES = """\
examples:
  python -m tuning.quantize --source models/weights/smollm2-135m-instruct \\
      --output models/weights/smollm2-135m-instruct-awq --group-size 64
      a quarter of an hour or more on two cores; SmolLM2's 576 inputs do not divide into groups of 128
  python -m tuning.quantize --source models/weights/llama3-70b --output models/weights/llama3-70b-awq \\
      --calibration rows.jsonl --rows 128 --max-tokens 512
      calibrate with your own texts: rows with a field text or input_field, or one text a line

Killed or stopped by Ctrl-C, the same command resumes after the last finished layer (Llama models). Its files for that
lie beside the output in OUTPUT.partial, and are removed when the output is finished.
"""


@checked
class QuantisationSettings:
    """Bits of a weight, inputs in a group, and the calibration: rows, tokens of each, seed of the texts' order."""

    bits: Literal[4] = 4
    group_size: Annotated[int, Field(ge=16)] = 128
    rows: Positive = 16
    max_tokens: Annotated[int, Field(ge=16)] = 256
    seed: int = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Quantise by the options of the command line; return 0 when the output is there, 130 when stopped."""
    options = _options(argv)
    settings = _settings(options)
    source, run = options.source.resolve(), RunFolder(options.output.absolute(), keeps_layers)
    config = check_source(source, settings.group_size)
    texts = calibration_texts(options.calibration, settings.rows * settings.max_tokens, settings.seed)
    versions = {name: _version(name) for name in ("gptqmodel", "torch", "transformers")}
    if options.device == "cuda":
        _check_gpu()
    tokenizer = _load_tokenizer(source)
    rows = calibration_rows(tokenizer, texts, settings.rows, settings.max_tokens, options.calibration)
    job = Job(source, run.work, config["model_type"], config["num_hidden_layers"], settings.group_size, options.device)
    record = {
        "source": source.name,
        "source_fingerprint": fingerprint(source),
        "settings": asdict(settings),
        "calibration_sha256": hashlib.sha256(json.dumps(rows).encode()).hexdigest(),
        "calibration_tokens": sum(map(len, rows)),
        "versions": versions,
    }
    with failures_reported(job), run.held(record):
        if not _quantised(job, rows, tokenizer):
            return 130
        run.finish(lambda folder: finish_folder(job, folder, record))
    print(f"{run.output}: finished")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m tuning.quantize", __doc__, EXAMPLES)
    add = parser.add_argument
    add("--source", type=Path, required=True, metavar="DIR", help="the dense model: config, tokenizer, safetensors")
    add("--output", type=Path, required=True, metavar="DIR", help="the folder to make")
    add("--recipe", type=Path, default=RECIPE, metavar="FILE", help="settings (default: tuning/recipes/awq.yaml)")
    add("--group-size", type=int, metavar="N", help="inputs that share a scale; must divide the inputs of every layer")
    add("--bits", type=int, metavar="N", help="4: AutoAWQ's GEMM format has no other number")
    add("--calibration", type=Path, metavar="FILE", help="texts to calibrate with (default: the package's own)")
    add("--rows", type=int, metavar="N", help="rows of calibration text")
    add("--max-tokens", type=int, metavar="N", help="tokens of a row; texts are joined and cut")
    add("--seed", type=int, metavar="N", help="seed of the texts' order")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if there is one")
    return parser.parse_args(argv)


def _settings(options: argparse.Namespace) -> QuantisationSettings:
    values = read_mapping(options.recipe, "the settings", "name a file by --recipe")
    names = [field.name for field in dataclasses.fields(QuantisationSettings)]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return build(QuantisationSettings, {**values, **given}, f"{options.recipe}: ")


def check_source(folder: Path, group_size: int) -> dict[str, Any]:
    """Return the config of a folder that can be quantised in groups of `group_size` inputs.

    Raises:
        UserError: the folder holds no model, a damaged or quantised one or another architecture, or its layers do not
            divide.
    """
    tensors = check_model(folder, named_by="--source")
    config = read_model_json(folder / "config.json")
    _check_config(folder, config)
    shapes = {
        each.name.removesuffix(".weight"): (each.shape[0], each.shape[1])
        for each in tensors
        if each.name.endswith("_proj.weight") and len(each.shape) == 2
    }
    if not shapes:
        raise UserError(f"{folder} holds no linear layer in safetensors files: fetch the model again")
    _check_shapes(shapes, group_size)
    return config


def _check_gpu() -> None:
    # Imported after the other checks: it takes seconds, which a bad input need not wait for.
    import torch

    if not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU: give --device cpu, or use a machine with a GPU")


def _load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer  # imported late as torch is

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers raises no narrower type
        reason = " ".join(str(error).split())
        raise UserError(
            f"{folder}: the tokenizer cannot be loaded ({type(error).__name__}: {reason}): fetch its files again"
        ) from error


def _check_config(folder: Path, config: Mapping[str, Any]) -> None:
    path = folder / "config.json"
    if "quantization_config" in config:
        raise UserError(f"{path} has the field quantization_config: name a dense model, which has no such field")
    if quantization_of(folder, config):
        raise UserError(f"{folder} holds quantised weights: name a dense model")
    if config.get("model_type") not in _ARCHITECTURES:
        raise UserError(
            f"{path}: model_type is {config.get('model_type')!r}; gptqmodel makes AWQ weights that "
            f"load again for {', '.join(_ARCHITECTURES)} only: take a published AWQ checkpoint"
        )
    layers = config.get("num_hidden_layers")
    if type(layers) is not int or layers < 1:
        raise UserError(
            f"{path}: num_hidden_layers is {layers!r}; it must be the number of layers: fetch the file again"
        )


def _check_shapes(shapes: Mapping[str, tuple[int, int]], group_size: int) -> None:
    for name, (outputs, inputs) in shapes.items():
        if inputs % group_size:
            fitting = [size for size in _USUAL_GROUPS if all(shape[1] % size == 0 for shape in shapes.values())]
            remedy = f"use --group-size {fitting[0]}" if fitting else "no usual group size fits this model"
            raise UserError(f"groups of {group_size} do not divide the {inputs} inputs of {name}: {remedy}")
        if outputs % _OUTPUTS:
            raise UserError(f"{name} has {outputs} outputs; AWQ needs multiples of {_OUTPUTS}: keep this model dense")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise UserError(
            f"{package}, which quantises, is not installed: run "
            '`pip install --no-build-isolation -c requirements.txt "gptqmodel==7.5.0"`'
        ) from None


def _quantised(job: Job, rows: Sequence[Sequence[int]], tokenizer: Any) -> bool:
    """Run the job; return whether it was finished."""
    if job.model_type not in RESUMABLE:
        print(f"gptqmodel keeps no layers of {job.model_type} models: an interrupted run starts over", file=sys.stderr)
    shutil.rmtree(job.built, ignore_errors=True)
    try:
        quantise(job, rows, tokenizer)
    except StoppedError:
        print(f"stopped; the same command resumes with the layers in {job.work}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(exit_code(main))
