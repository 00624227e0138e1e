"""A Llama of 70B's shape with random 4-bit weights on a GPU: tokens a second, and what share of the floor that is.

The floor is the time of the same passes at the GPU's peak and full bandwidth (submission/time_budget/prediction.py).
Weights are random because only their shape and format decide the speed. With fewer layers than 80 speeds are divided by
the ratio, which leaves embedding and vocabulary projection, about a layer's worth, out of account.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.common import (
    ROOT,
    Json,
    Results,
    conditions,
    make_parser,
    model_folder,
    print_table,
    source_digest,
)
from benchmarks.random_awq import write_random_checkpoint
from models.engines.interface import Engine
from models.engines.model_registry import ModelEntry, model_entry
from models.engines.settings import EngineSettings, VllmSettings, weights_folder
from models.settings import load_settings
from prompts.answer_space import Choice, Text
from prompts.prompt import Prompt
from submission.time_budget.devices import read_devices
from utilities.errors import UserError, exit_code
from utilities.options import positive

if TYPE_CHECKING:
    from submission.time_budget.prediction import Machine

EXAMPLES = """\
  python -m benchmarks.seventy_shape --gpu h200
  python -m benchmarks.seventy_shape --gpu t4 --layers 20     a quarter of the model, speeds divided by four
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
    engine = _LazyEngine(entry, options.gpu, count)
    rows = [results.part({**inputs, "rows": size}, partial(engine.measure, size)) for size in options.rows]
    results.finish({"rows": rows, "layers": options.layers, "gpu": options.gpu, "gpus": count})
    print_speeds(rows, options.layers)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("seventy_shape", __doc__, EXAMPLES)
    parser.add_argument("--gpu", metavar="NAME", default="h200", help="what GPU this is (default: %(default)s)")
    parser.add_argument("--layers", type=positive, metavar="N", default=80, help="layers to build (default: 80)")
    parser.add_argument(
        "--engine", choices=("transformers", "vllm"), default="transformers", help="default: %(default)s"
    )
    parser.add_argument(
        "--rows", type=positive, nargs="+", metavar="N", default=[1, 16], help="batch sizes (default: 1 16)"
    )
    return parser.parse_args(argv)


def _gpus() -> int:
    import torch

    if not torch.cuda.is_available():
        raise UserError("no GPU is at hand: run this where torch.cuda.is_available() says True")
    return torch.cuda.device_count()


def shaped_entry(layers: int, engine: str) -> ModelEntry:
    """Return the 70B model's entry with so many layers and a folder of its own."""
    entry = model_entry(MODEL)
    shape = dataclasses.replace(entry.shape, layers=layers)
    folder = f"models/weights/random-70b-{layers}-layers"
    # `engine` comes from the options, which allow what the entry does.
    return dataclasses.replace(entry, shape=shape, weights=folder, engine=engine)  # type: ignore[arg-type]


def prompts_of(rows: int) -> tuple[list[Prompt], list[Prompt]]:
    """Return prompts that are only read, about 500 tokens each, and prompts of which 32 words are written."""
    bodies = [f"question {row} " + "bottle " * _WORDS for row in range(rows)]
    read = [Prompt("", body, Choice(("0", "1", "2")), fallback="0") for body in bodies]
    short = [Prompt("", body[:40], Text(_WRITTEN_WORDS, stop=()), fallback="x", cue="") for body in bodies]
    return read, short


class _LazyEngine:
    """Writes and loads the model when the first row is measured: a finished run needs neither."""

    def __init__(self, entry: ModelEntry, gpu: str, count: int) -> None:
        self._entry, self._gpu, self._count = entry, gpu, count
        self._engine: Engine | None = None

    def measure(self, rows: int) -> Json:
        """Return speeds, shares of the floor and the memory in use for batches of so many rows."""
        import torch

        self._engine = self._engine or self._loaded()
        machine = machine_of(self._entry, self._gpu, self._count)
        row = timed(self._engine, machine, engine_settings(self._entry, self._count), rows)
        free, total = torch.cuda.mem_get_info()
        return {**row, "used_gb": (total - free) / 1e9}

    def _loaded(self) -> Engine:
        from models.engines.process.warm_up import warm_up
        from models.engines.registry import create_engine

        write_random_checkpoint(ROOT / self._entry.weights, self._entry, model_folder(load_settings().engine))
        engine = create_engine(engine_settings(self._entry, self._count))
        warm_up(engine)
        return engine


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
    """Return the entry's model on these GPUs, with all that is assumed of them."""
    from submission.time_budget.prediction import Machine

    devices, assumptions = read_devices()
    return Machine(entry, devices[gpu], count, assumptions)


def timed(engine: Engine, machine: "Machine", settings: EngineSettings, rows: int) -> Json:
    """Have the engine read and write once; return tokens a second, and floors as shares of the time it took."""
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
    """Return the least seconds of reading the first prompts, and of one step of writing the second ones' texts."""
    from submission.time_budget.token_counting import count_work
    from submission.time_budget.token_figures import load_tokenizer

    work = count_work(load_tokenizer(weights_folder(settings), machine.entry), [read, written], settings)
    first, second = (machine.passes(batch) for batch in work.batches)
    steps = [each for each in second if each.decode]
    return machine.floor_seconds(first), machine.floor_seconds(steps) / len(steps)


def print_speeds(rows: Sequence[Json], layers: int) -> None:
    """Print one line a batch size; speeds are those of 80 layers."""
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
