"""The time budget's prediction against measured seconds of the model in use, by task type.

The prediction assumes that texts are written to their limit. `same steps` predicts for the number of steps that were
taken: its error is that of the time model alone.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from tqdm import tqdm

from benchmarks.common import (
    PACKAGE,
    Json,
    make_parser,
    open_results,
    read_asked,
    source_digest,
    started_engine,
    weights_of,
)
from evaluation.questions import DEVELOPMENT, QuestionRow
from models.engines.interface import Engine
from models.engines.model_registry import model_entry
from models.settings import Settings, load_settings
from prompts.prompt import Prompt
from submission.time_budget.devices import CPU, Device, device_named, read_devices
from utilities.errors import exit_code
from utilities.printed_tables import print_table

EXAMPLES = """\
  python -m benchmarks.time_budget_accuracy              all of data/development.json: takes minutes
  python -m benchmarks.time_budget_accuracy --limit 8
  python -m benchmarks.time_budget_accuracy --gpu l4     on a GPU, by its figures of submission/time_budget/devices.yaml

The CPU's arithmetic and bandwidth are measured first. Run nothing else meanwhile.
"""
_COUNTS = ("prefill_tokens", "decode_steps")
_COLUMNS = ("tokens", "measured", "steps", "measured", "seconds", "same steps", "measured", "ratio", "same steps")

Batches = dict[str, list[list[Prompt]]]


def main(argv: Sequence[str] | None = None) -> int:
    """Predict and measure by the options of the command line; print a table and return 0."""
    parser = make_parser("time_budget_accuracy", __doc__, EXAMPLES, data=DEVELOPMENT, threads=True)
    parser.add_argument("--gpu", metavar="NAME", default=CPU, help="default: %(default)s, measured")
    options = parser.parse_args(argv)
    questions, data = read_asked(options)
    settings = load_settings()
    results = open_results(options)
    inputs = {"settings": dataclasses.asdict(settings), "weights": weights_of(settings.engine), "data": data}
    inputs["sources"] = source_digest((*PACKAGE, "submission/time_budget/devices.yaml"))
    device = Device(**results.part({**inputs, "device": options.gpu}, partial(_measured_device, options.gpu)))
    batches = batches_of(questions, settings)
    # The model is loaded when the first part is measured: finished results need none.
    load = cache(partial(started_engine, settings.engine))
    rows = []
    for task_type, group in tqdm(batches.items(), desc="measuring", unit="task type"):
        measured = results.part({**inputs, "task_type": task_type}, partial(_measured, load, group))
        rows.append({"task_type": task_type, **predicted(group, settings, device, measured), **measured})
    results.finish({"task_types": rows, "device": dataclasses.asdict(device), **inputs})
    print_comparison(rows)
    return 0


def batches_of(questions: Sequence[QuestionRow], settings: Settings) -> Batches:
    """Return the evaluator's batches as prompts, by task type."""
    from submission.time_budget.token_counting import prompts_of

    groups: dict[str, list[QuestionRow]] = {}
    for question in sorted(questions, key=lambda each: each.task_type):
        groups.setdefault(question.task_type.value, []).append(question)
    size = settings.batch_size
    prompts = {name: prompts_of(group, settings.prompts) for name, group in groups.items()}
    return {name: [each[i : i + size] for i in range(0, len(each), size)] for name, each in prompts.items()}


def _measured_device(name: str) -> Json:
    return dataclasses.asdict(device_named(name)[0])


def _measured(load: Callable[[], Engine], batches: Sequence[Sequence[Prompt]]) -> Json:
    """Answer the batches; return questions, seconds, and tokens and steps by the engine's count."""
    engine = load()
    before, started = dataclasses.replace(engine.usage()), time.perf_counter()
    for batch in batches:
        engine.answer(batch)
    seconds, after = time.perf_counter() - started, engine.usage()
    done = {f"measured_{name}": getattr(after, name) - getattr(before, name) for name in _COUNTS}
    return {"questions": sum(map(len, batches)), "measured_seconds": seconds, **done}


def predicted(
    batches: Sequence[Sequence[Prompt]], settings: Settings, device: Device, measured: Mapping[str, Any]
) -> Json:
    """Return predicted tokens, steps and seconds, and the seconds for the number of steps that were taken."""
    from submission.time_budget.prediction import Machine
    from submission.time_budget.token_counting import count_work, counting_for

    # The settings' engine has loaded this model, so the entry allows it.
    entry = dataclasses.replace(model_entry(settings.engine.model), engine=settings.engine.name)  # type: ignore[arg-type]
    machine = Machine(entry, device, 1, read_devices()[1])
    work = count_work(counting_for(entry).tokenizer, batches, settings.engine)
    passes = [*work.heads.values(), *(each for batch in work.batches for each in machine.passes(batch))]
    read = [each for each in passes if not each.decode]
    steps = [each for each in passes if each.decode]
    reading, writing = machine.seconds(read), machine.seconds(steps)
    taken = measured["measured_decode_steps"] / len(steps) if steps else 0.0
    return {
        "prefill_tokens": sum(each.tokens for each in read),
        "decode_steps": len(steps),
        "seconds": reading + writing,
        "seconds_at_measured_steps": reading + taken * writing,
    }


def print_comparison(rows: Sequence[Json]) -> None:
    """Print predictions, measurements and their ratio: over 1, the prediction is too long."""
    names = ("questions", *_COUNTS, *(f"measured_{name}" for name in _COUNTS))
    sums = (*names, "seconds", "seconds_at_measured_steps", "measured_seconds")
    total = {"task_type": "all", **{name: sum(row[name] for row in rows) for name in sums}}
    print_table(("task type", "questions", *_COLUMNS), [_row(row) for row in (*rows, total)])


def _row(row: Json) -> tuple[str, ...]:
    counts = [row[name] for count in _COUNTS for name in (count, f"measured_{count}")]
    seconds = [row[name] for name in ("seconds", "seconds_at_measured_steps", "measured_seconds")]
    ratios = [value / row["measured_seconds"] for value in seconds[:2]]
    return (
        row["task_type"],
        str(row["questions"]),
        *(f"{value:,.0f}" for value in counts),
        *(f"{value:.1f}" for value in seconds),
        *(f"{value:.2f}" for value in ratios),
    )


if __name__ == "__main__":
    sys.exit(exit_code(main))
