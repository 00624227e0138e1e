"""AWQ weights on a CPU, measured in turns: made dense at loading, or computed with gptqmodel's packed kernels."""

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.common import Json, in_turns, make_parser, open_results, print_turns, set_threads
from models.engines.weights_folder import check_weights
from utilities.errors import exit_code
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
    check_weights(options.model, named_by="--model")
    results = open_results(options)
    inputs = {name: getattr(options, name) for name in ("rows", "length", "steps", "dtype", "repeats", "threads")}
    measure_way = partial(measure, options.model.resolve(), inputs=inputs)
    identity = {**inputs, "weights": fingerprint(options.model)}
    report = results.part(identity, lambda: in_turns(WAYS, options.repeats, measure_way))
    results.finish({"model": str(options.model), **inputs, **report})
    print_turns(report, FIGURES, [*WAYS, "kernels / dense"])
    print(f"{options.rows} prompts of {options.length} tokens, medians of {options.repeats} turns")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("awq_on_cpu", __doc__, EXAMPLES, threads=True)
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="DIR", help="a folder of AWQ weights")
    add("--rows", type=positive, default=8, metavar="N", help="prompts in a batch (default: %(default)s)")
    add("--length", type=positive, default=256, metavar="N", help="tokens of a prompt (default: %(default)s)")
    add("--steps", type=positive, default=16, metavar="N", help="decoded tokens per prompt (default: %(default)s)")
    add("--repeats", type=positive, default=3, metavar="N", help="turns of each way (default: %(default)s)")
    add("--dtype", choices=("float32", "float16", "bfloat16"), default="float32", help="of both (default: %(default)s)")
    return parser.parse_args(argv)


def measure(folder: Path, way: str, inputs: Json) -> Json:
    """Load the model in one way; time one prefill and the decoding after it."""
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


if __name__ == "__main__":
    sys.exit(exit_code(main))
