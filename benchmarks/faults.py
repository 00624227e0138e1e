"""Injects faults into the engine: answers that change, fallbacks, validity of all answers, deadlines of all batches.

none     no fault, for comparison
hang     the third call never returns
stop     the third call stops the process
poison   one question hangs the engine whenever it is asked
memory   more than three prompts in one call run out of memory
crash    the third call kills the process
dead     every call kills the process
garbage  from the third call on, answers are nonsense, of four kinds in turn
slow     from the third call on, everything takes ten times as long

A new process counts its calls from 1, so hang, stop and crash strike again.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial

from benchmarks.common import (
    PACKAGE,
    Json,
    make_parser,
    open_results,
    read_asked,
    source_digest,
    weights_of,
)
from benchmarks.faulty_worker import POISON, command
from benchmarks.hostile_prompts import flaw_of
from evaluation.loop import predict
from evaluation.questions import DEVELOPMENT, QuestionRow
from models.engines.process.supervised import SupervisedEngine
from models.settings import Settings, load_settings
from models.shopbench_model import ShopBenchModel
from utilities.errors import exit_code
from utilities.printed_tables import print_table

EXAMPLES = """\
  python -m benchmarks.faults                       the default model, loaded after each fault: a quarter of an hour
  python -m benchmarks.faults --engine scripted     the same without a model: under two minutes
  python -m benchmarks.faults --seconds-per-sample 3 --limit 64
"""
_CASES: Mapping[str, tuple[str, int]] = {
    "none": ("none", 1),
    "hang": ("hang", 3),
    "stop": ("stop", 3),
    "poison": ("poison", 1),
    "memory": ("memory", 3),
    "crash": ("crash", 3),
    "dead": ("crash", 1),
    "garbage": ("garbage", 3),
    "slow": ("slow", 3),
}
"""By the name of a row: the fault of `benchmarks.faulty_worker`, and its number."""
_POISONED = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Inject every fault; print a table; return 1 if an answer was invalid or a batch late, otherwise 0."""
    options = _options(argv)
    questions, data = read_asked(options)
    limit = options.seconds_per_sample
    settings = load_settings()
    clock = replace(settings.clock, seconds_per_sample=limit)
    settings = replace(settings, engine=replace(settings.engine, name=options.engine), clock=clock)
    inputs = {
        "settings": asdict(settings),
        "data": data,
        "weights": weights_of(settings.engine) if options.engine != "scripted" else "none",
        "sources": source_digest((*PACKAGE, "benchmarks/fault*.py")),
    }
    results = open_results(options)
    runs = {name: results.part({**inputs, "case": name}, partial(_run, name, settings, questions)) for name in _CASES}
    rows = {name: _row(run, runs["none"], questions, limit) for name, run in runs.items()}
    results.finish({"faults": rows, **inputs})
    _print(rows)
    return 0 if all(row["valid"] == len(questions) and row["in_time"] for row in rows.values()) else 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("faults", __doc__, EXAMPLES, data=DEVELOPMENT, threads=True)
    add = parser.add_argument
    add("--engine", choices=("scripted", "transformers"), default="transformers", help="default: %(default)s")
    limit = "the evaluator's limit (default: %(default)s); with a lower one, hanging engines take less time here"
    add("--seconds-per-sample", type=float, metavar="S", default=10.0, help=limit)
    return parser.parse_args(argv)


def _run(name: str, settings: Settings, questions: Sequence[QuestionRow]) -> Json:
    print(f"fault: {name}", file=sys.stderr)
    fault, number = _CASES[name]
    asked = _poisoned(questions) if name == "poison" else questions
    engine = SupervisedEngine(settings.engine, command(fault, number))
    model = ShopBenchModel(settings, engine)
    prediction = predict(model, asked)
    engine.close()
    return {
        "answers": list(prediction.answers),
        "batches": [[batch.questions, batch.seconds] for batch in prediction.batches],
        "fallbacks": dict(model.fallbacks),
        "events": dict(model.events),
    }


def _poisoned(questions: Sequence[QuestionRow]) -> list[QuestionRow]:
    index = min(_POISONED, len(questions) - 1)
    poisoned = replace(questions[index], input_field=f"{questions[index].input_field} {POISON}")
    return [*questions[:index], poisoned, *questions[index + 1 :]]


def _row(run: Json, sound: Json, questions: Sequence[QuestionRow], limit: float) -> Json:
    flaws = (
        flaw_of([answer], question.input_field, question.is_multiple_choice)
        for answer, question in zip(run["answers"], questions, strict=True)
    )
    return {
        "affected": sum(a != b for a, b in zip(run["answers"], sound["answers"], strict=True)),
        "fallbacks": sum(run["fallbacks"].values()),
        "valid": sum(not flaw for flaw in flaws),
        "slowest": max(seconds / (limit * size) for size, seconds in run["batches"]),
        "in_time": all(seconds < limit * size for size, seconds in run["batches"]),
        "seconds": sum(seconds for _, seconds in run["batches"]),
        "reasons": run["fallbacks"],
        "events": run["events"],
    }


def _print(rows: Mapping[str, Json]) -> None:
    columns = ("fault", "answers changed", "fallbacks", "valid", "deadline", "slowest batch", "seconds")
    print_table(columns, [(name, *_cells(row)) for name, row in rows.items()])
    for name, row in rows.items():
        listed = ", ".join(f"{event}: {count}" for event, count in {**row["reasons"], **row["events"]}.items())
        print(f"{name}: {listed or 'no event'}")


def _cells(row: Json) -> tuple[str, ...]:
    kept = "kept" if row["in_time"] else "MISSED"
    counts = (str(row[name]) for name in ("affected", "fallbacks", "valid"))
    return (*counts, kept, f"{row['slowest']:.0%} of the limit", f"{row['seconds']:.1f}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
