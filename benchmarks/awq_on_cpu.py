"""AWQ weights on a CPU: made dense while they are loaded, against gptqmodel's kernels, in turns and as a ratio."""

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tqdm import tqdm

from benchmarks.common import (
    Json,
    Results,
    add_threads,
    conditions,
    make_parser,
    print_table,
    set_threads,
    shown,
)
from models.engines.weights import holds_model
from utilities.errors import UserError, exit_code
from utilities.fingerprint import fingerprint
from utilities.options import positive

EXAMPLES = """\
  python -m benchmarks.awq_on_cpu --model models/weights/smollm2-135m-instruct-awq
  python -m benchmarks.awq_on_cpu --model DIR --rows 16 --length 512 --steps 32 --repeats 5
"""
WAYS = ("dense", "kernels")
FIGURES = {
    "load_seconds": "loading, s",
    "prefill_seconds": "prefill, s",
    "step_seconds": "a decoded token each, s",
    "peak_megabytes": "peak memory, MB",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = _options(argv)
    if not holds_model(options.model):
        raise UserError(f"--model {options.model} holds no model: name a folder that `python -m tuning.quantize` made")
    results = Results(options.results, conditions(set_threads(options.threads), None), fresh=options.fresh)
    inputs = {name: getattr(options, name) for name in ("rows", "length", "steps", "dtype", "repeats", "threads")}
    identity = {**inputs, "weights": fingerprint(options.model)}
    report = results.part(identity, lambda: measure_in_turns(options.model.resolve(), inputs))
    results.finish({"model": str(options.model), **inputs, **report})
    _print(report, inputs)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("awq_on_cpu", __doc__, EXAMPLES)
    add_threads(parser)
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="DIR", help="a folder with AWQ weights")
    add("--rows", type=positive, default=8, metavar="N", help="prompts in a batch (default: %(default)s)")
    add("--length", type=positive, default=256, metavar="N", help="tokens of a prompt (default: %(default)s)")
    add("--steps", type=positive, default=16, metavar="N", help="decoded tokens a prompt (default: %(default)s)")
    add("--repeats", type=positive, default=3, metavar="N", help="turns of each; medians count (default: %(default)s)")
    add("--dtype", choices=("float32", "float16", "bfloat16"), default="float32", help="of both (default: %(default)s)")
    return parser.parse_args(argv)


def measure_in_turns(folder: Path, inputs: Json) -> Json:
    """Return the medians of both ways and, for each figure, kernels over dense."""
    found: dict[str, list[Json]] = {way: [] for way in WAYS}
    for _ in tqdm(range(inputs["repeats"]), desc="turns", unit="turn"):
        for way in WAYS:
            # A process each, so that its peak memory is its own.
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                found[way].append(process.submit(measure, folder, way, inputs).result())
    medians = {way: {name: statistics.median(turn[name] for turn in found[way]) for name in FIGURES} for way in WAYS}
    ratios = {name: medians["kernels"][name] / medians["dense"][name] for name in FIGURES}
    return {"medians": medians, "kernels_over_dense": ratios, "turns": found}


def measure(folder: Path, way: str, inputs: Json) -> Json:
    """Load the model one way and time one prefill and the decoding behind it; in a process of its own."""
    import torch

    from models.engines.transformers_engine.loading import load_causal_lm

    set_threads(inputs["threads"])
    started = time.perf_counter()
    model = load_causal_lm(folder, getattr(torch, inputs["dtype"]), "cpu", way)
    loaded = time.perf_counter()
    generator = torch.Generator().manual_seed(1)
    shape = (inputs["rows"], inputs["length"])
    ids = torch.randint(100, model.config.vocab_size, shape, generator=generator)
    with torch.inference_mode():
        model(input_ids=ids[:, :2])  # the first pass prepares buffers
        ready = time.perf_counter()
        cache = model(input_ids=ids, logits_to_keep=1).past_key_values
        prefilled = time.perf_counter()
        for _ in range(inputs["steps"]):
            model(input_ids=ids[:, -1:], past_key_values=cache)
        ended = time.perf_counter()
    return {
        "load_seconds": loaded - started,
        "prefill_seconds": prefilled - ready,
        "step_seconds": (ended - prefilled) / inputs["steps"],
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def _print(report: Json, inputs: Json) -> None:
    medians, ratios = report["medians"], report["kernels_over_dense"]
    rows = [
        [title, *(shown(medians[way][name]) for way in WAYS), shown(ratios[name], 2)] for name, title in FIGURES.items()
    ]
    print_table(["", *WAYS, "kernels / dense"], rows)
    print(f"{inputs['rows']} prompts of {inputs['length']} tokens, medians of {inputs['repeats']} turns")


if __name__ == "__main__":
    sys.exit(exit_code(main))
