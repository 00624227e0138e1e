"""Speed of a 70B-shaped Llama with random 4-bit weights on a GPU, and its share of the floor.

The floor is the time of the same passes at the GPU's peak and full bandwidth (submission/time_budget/prediction.py).
Random weights suffice because speed depends on shape and format alone. With fewer than 80 layers, speeds are scaled to
80; this ignores embedding and vocabulary projection, about one layer's work.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from benchmarks.common import (
    Json,
    Results,
    conditions,
    make_parser,
    model_folder,
    source_digest,
    started_engine,
)
from benchmarks.random_awq import write_random_checkpoint
from models.engines.interface import Engine
from models.engines.model_registry import ModelEntry, model_entry
from models.engines.settings import EngineSettings, VllmSettings, weights_folder
from models.settings import load_settings
from prompts.prompt import Choice, Prompt, Text
from submission.time_budget.devices import read_devices
from utilities.errors import UserError, exit_code
from utilities.files import ROOT
from utilities.options import positive
from utilities.printed_tables import print_table

if TYPE_CHECKING:
    from submission.time_budget.prediction import Machine

EXAMPLES = """\
  python -m benchmarks.seventy_shape --gpu h200
  python -m benchmarks.seventy_shape --gpu t4 --layers 20     a quarter of the layers, speeds divided by four
  python -m benchmarks.seventy_shape --gpu l4 --engine vllm --layers 40

Needs a GPU, requirements-gpu.txt, and disk for the weights: 40 GB for 80 layers, under models/weights/.
"""
MODEL = "llama3-70b-awq"
_WORDS, _WRITTEN_WORDS = 500, 32


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = _options(argv)
    devices, _ = read_devices()
    if options.gpu not in devices:
        raise UserError(f"there is no device {options.gpu!r}; choose one of: {', '.join(devices)}")
    entry = shaped_entry(options.layers, options.engine)
    count = _gpus()
    results = Results(options.results, conditions(count, 0), fresh=options.fresh)
    inputs = {"gpu": options.gpu, "entry": dataclasses.asdict(entry), "sources": source_digest()}
    machine = machine_of(entry, options.gpu, count)
    # The model is written and loaded when the first part is measured: finished results need neither.
    load = cache(partial(_load, entry, count))
    measure = partial(_measured, load, machine, engine_settings(entry, count))
    rows = [results.part({**inputs, "rows": size}, partial(measure, size)) for size in options.rows]
    results.finish({"rows": rows, "layers": options.layers, "gpu": options.gpu, "gpus": count})
    print_speeds(rows, options.layers)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("seventy_shape", __doc__, EXAMPLES)
    add = parser.add_argument
    add("--gpu", metavar="NAME", default="h200", help="the type of this GPU (default: %(default)s)")
    add("--layers", type=positive, metavar="N", default=80, help="layers to build (default: 80)")
    add("--engine", choices=("transformers", "vllm"), default="transformers", help="default: %(default)s")
    add("--rows", type=positive, nargs="+", metavar="N", default=[1, 16], help="batch sizes (default: 1 16)")
    return parser.parse_args(argv)


def _gpus() -> int:
    import torch

    if not torch.cuda.is_available():
        raise UserError("there is no GPU: run this where torch.cuda.is_available() is True")
    return torch.cuda.device_count()


def shaped_entry(layers: int, engine: str) -> ModelEntry:
    """Return the 70B model's entry with this number of layers and its own folder."""
    entry = model_entry(MODEL)
    shape = dataclasses.replace(entry.shape, layers=layers)
    folder = f"models/weights/random-70b-{layers}-layers"
    # The options offer only engines that the entry allows.
    return dataclasses.replace(entry, shape=shape, weights=folder, engine=engine)  # type: ignore[arg-type]


def prompts_of(rows: int) -> tuple[list[Prompt], list[Prompt]]:
    """Return prompts of about 500 tokens that need no writing, and prompts that are answered with 32 words."""
    bodies = [f"question {row} " + "bottle " * _WORDS for row in range(rows)]
    read = [Prompt("", body, Choice(("0", "1", "2")), fallback="0") for body in bodies]
    short = [Prompt("", body[:40], Text(_WRITTEN_WORDS, stop=()), fallback="x", cue="") for body in bodies]
    return read, short


def _load(entry: ModelEntry, count: int) -> Engine:
    write_random_checkpoint(ROOT / entry.weights, entry, model_folder(load_settings().engine))
    return started_engine(engine_settings(entry, count))


def _measured(load: Callable[[], Engine], machine: "Machine", settings: EngineSettings, rows: int) -> Json:
    """Return speeds, shares of the floor and used memory for batches of this size."""
    import torch

    row = timed(load(), machine, settings, rows)
    free, total = torch.cuda.mem_get_info()
    return {**row, "used_gb": (total - free) / 1e9}


def engine_settings(entry: ModelEntry, count: int) -> EngineSettings:
    """Return settings that run the random checkpoint on all GPUs and read all prompts of a batch in one pass."""
    return EngineSettings(
        model=MODEL,
        name=entry.engine,
        weights=entry.weights,
        dtype=entry.dtype,
        choice="label",
        selection="label",
        token_budget=16 * 1024,
        vllm=VllmSettings(tensor_parallel=count),
    )


def machine_of(entry: ModelEntry, gpu: str, count: int) -> "Machine":
    """Return the time model of the entry on these GPUs."""
    from submission.time_budget.prediction import Machine

    devices, assumptions = read_devices()
    return Machine(entry, devices[gpu], count, assumptions)


def timed(engine: Engine, machine: "Machine", settings: EngineSettings, rows: int) -> Json:
    """Let the engine read and write once; return tokens per second, and the floors as shares of the measured time."""
    read, written = prompts_of(rows)
    usages = [dataclasses.replace(engine.usage())]
    for prompts in (read, written):
        engine.answer(prompts)
        usages.append(dataclasses.replace(engine.usage()))
    before, middle, after = usages
    reading, writing = middle.prefill_seconds - before.prefill_seconds, after.decode_seconds - middle.decode_seconds
    steps = after.decode_steps - middle.decode_steps
    reading_floor, step_floor = floors(machine, settings, read, written)
    return {
        "rows": rows,
        "prefill_tokens_a_second": (middle.prefill_tokens - before.prefill_tokens) / reading,
        "prefill_floor_share": reading_floor / reading,
        "decode_tokens_a_second": steps * rows / writing,
        "decode_floor_share": steps * step_floor / writing,
    }


def floors(
    machine: "Machine", settings: EngineSettings, read: Sequence[Prompt], written: Sequence[Prompt]
) -> tuple[float, float]:
    """Return the least seconds for reading the first prompts, and for one decoding step of the second ones."""
    from submission.time_budget.token_counting import count_work, load_tokenizer

    work = count_work(load_tokenizer(weights_folder(settings), machine.entry), [read, written], settings)
    first, second = (machine.passes(batch) for batch in work.batches)
    steps = [each for each in second if each.decode]
    return machine.floor_seconds(first), machine.floor_seconds(steps) / len(steps)


def print_speeds(rows: Sequence[Json], layers: int) -> None:
    """Print one line per batch size; speeds are scaled to 80 layers."""
    part = layers / model_entry(MODEL).shape.layers
    columns = ("rows", "prefill tokens/s", "share of the floor", "decode tokens/s", "share of the floor", "GB in use")
    print_table(columns, [_speed_row(row, part) for row in rows])
    if part < 1:
        print(f"measured with {layers} layers; speeds are times {part:.3g}, memory is not")


def _speed_row(row: Json, part: float) -> tuple[str, ...]:
    speeds = [f"{row[f'{kind}_tokens_a_second'] * part:,.0f}" for kind in ("prefill", "decode")]
    shares = [f"{row[f'{kind}_floor_share']:.0%}" for kind in ("prefill", "decode")]
    return str(row["rows"]), speeds[0], shares[0], speeds[1], shares[1], f"{row['used_gb']:.1f}"


if __name__ == "__main__":
    sys.exit(exit_code(main))
