"""4-bit weights from a dense model: AWQ by gptqmodel, written as AutoAWQ writes them (GEMM format)."""

import argparse
import dataclasses
import fcntl
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tuning.awq_folder import finish_folder
from tuning.awq_job import RESUMABLE, Job, StoppedError, check_device, failures_told, quantise
from tuning.calibration_texts import calibration_rows, digest
from tuning.source_model import check_source, load_tokenizer
from utilities.errors import UserError, exit_code
from utilities.files import write_json
from utilities.fingerprint import fingerprint
from utilities.typed_yaml import build, checked, read_mapping

RECIPE = Path(__file__).parent / "recipes" / "awq.yaml"
_BEGUN = "begun.json"

EXAMPLES = """\
examples:
  python -m tuning.quantize --source models/weights/smollm2-135m-instruct \\
      --output models/weights/smollm2-135m-instruct-awq --group-size 64
      a quarter of an hour or more on two cores; SmolLM2's 576 inputs do not divide into groups of 128
  python -m tuning.quantize --source models/weights/llama3-70b --output models/weights/llama3-70b-awq \\
      --calibration rows.jsonl --rows 128 --max-tokens 512
      calibrate with your own texts: JSON Lines with a field text or input_field, or one text a line

Killed or stopped by Ctrl-C, the same command goes on behind the last finished layer (Llama models). What it needs
for that lies beside the output, in OUTPUT.partial, and goes when the output is finished.
"""


@checked
class QuantisationSettings:
    """Bits of a weight, inputs in a group, and the calibration: rows, tokens of each, seed of the texts' order."""

    bits: int = 4
    group_size: int = 128
    rows: int = 16
    max_tokens: int = 256
    seed: int = 1

    def __post_init__(self) -> None:
        if self.bits != 4:
            raise ValueError(f"bits is {self.bits}; AutoAWQ's GEMM format has 4 only: leave it out")
        for name, least in (("group_size", 16), ("rows", 1), ("max_tokens", 16)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}")


def main(argv: Sequence[str] | None = None) -> int:
    """Quantise by the options of the command line; 0 when the output is there, 130 when stopped."""
    options = _options(argv)
    settings = _settings(options)
    source, output = options.source.resolve(), options.output.absolute()
    if output.exists():
        raise UserError(f"--output {output} exists: move it away or name another folder")
    config = check_source(source, settings.group_size)
    check_device(options.device)
    _require_gptqmodel()
    tokenizer = load_tokenizer(source)
    rows = calibration_rows(tokenizer, options.calibration, settings.rows, settings.max_tokens, settings.seed)
    work = output.with_name(f"{output.name}.partial")
    job = Job(source, work, config["model_type"], config["num_hidden_layers"], settings.group_size, options.device)
    record = _record(job, settings, rows)
    with failures_told(job), _workspace(job, record):
        try:
            quantise(job, rows)
        except StoppedError:
            print(f"stopped; the same command goes on with the layers in {work}", file=sys.stderr)
            return 130
        _put_in_place(job, output, record)
    print(f"{output}: finished")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tuning.quantize",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--source", type=Path, required=True, metavar="DIR", help="the dense model: config, tokenizer, safetensors")
    add("--output", type=Path, required=True, metavar="DIR", help="the folder to make")
    add(
        "--recipe",
        type=Path,
        default=RECIPE,
        metavar="FILE",
        help="settings as YAML (default: tuning/recipes/awq.yaml)",
    )
    add("--group-size", type=int, metavar="N", help="inputs that share a scale; has to divide every layer's inputs")
    add("--bits", type=int, metavar="N", help="4, the only number that the format has")
    add("--calibration", type=Path, metavar="FILE", help="texts to calibrate with (default: the package's own)")
    add("--rows", type=int, metavar="N", help="rows of calibration text")
    add("--max-tokens", type=int, metavar="N", help="tokens of a row; texts are joined and cut")
    add("--seed", type=int, metavar="N", help="order of the texts")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: a GPU if there is one")
    return parser.parse_args(argv)


def _settings(options: argparse.Namespace) -> QuantisationSettings:
    values = read_mapping(options.recipe, "the settings", "name a file by --recipe")
    names = [field.name for field in dataclasses.fields(QuantisationSettings)]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return build(QuantisationSettings, {**values, **given}, f"{options.recipe}: ")


def _require_gptqmodel() -> None:
    try:
        version("gptqmodel")
    except PackageNotFoundError:
        raise UserError(
            "gptqmodel, which quantises, is not installed: run "
            '`pip install --no-build-isolation -c requirements.txt "gptqmodel==7.5.0"`'
        ) from None


def _record(job: Job, settings: QuantisationSettings, rows: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Return all that the result depends on: what was begun with another record is not gone on with."""
    return {
        "source": job.source.name,
        "source_fingerprint": fingerprint(job.source),
        "settings": asdict(settings),
        "calibration_sha256": digest(rows),
        "calibration_tokens": sum(map(len, rows)),
        "versions": {name: version(name) for name in ("gptqmodel", "torch", "transformers")},
    }


@contextmanager
def _workspace(job: Job, record: Mapping[str, Any]) -> Iterator[None]:
    """Hold the work folder while the job runs.

    Raises:
        UserError: another run holds it, or it was begun with other inputs.
    """
    job.work.mkdir(parents=True, exist_ok=True)
    with (job.work / "lock").open("a") as lock:
        try:
            # The kernel drops the lock with its process, so a killed run never blocks the next one.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{job.work}: another run is at work there: wait for it") from None
        _begin(job, record)
        yield


def _begin(job: Job, record: Mapping[str, Any]) -> None:
    path = job.work / _BEGUN
    if path.is_file():
        begun = _read_begun(path)
        differing = [name for name in record if begun.get(name) != record[name]]
        if differing:
            raise UserError(
                f"{job.work} was begun with another {' and '.join(differing)}: give what was given then, or remove it"
            )
    if job.model_type not in RESUMABLE:
        print(f"gptqmodel keeps no layers of {job.model_type} models: an interrupted run begins anew", file=sys.stderr)
    shutil.rmtree(job.built, ignore_errors=True)
    write_json(path, record)


def _read_begun(path: Path) -> dict[str, Any]:
    try:
        begun: object = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        begun = None
    if not isinstance(begun, dict):
        raise UserError(f"{path} does not say what was begun there: remove {path.parent} and begin anew")
    return begun


def _put_in_place(job: Job, output: Path, record: Mapping[str, Any]) -> None:
    finished = job.work / "finished"
    shutil.rmtree(finished, ignore_errors=True)
    finish_folder(job.built, job.source, finished, job.group_size, dict(record))
    finished.rename(output)
    shutil.rmtree(job.work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(exit_code(main))
