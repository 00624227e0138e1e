"""Precisions side by side: seconds, reading and decoding rates, scores, and the answers that differ from the first.

float32           plain layers of torch
float32-packed    weights laid out once for oneDNN
bfloat16-packed   the same in bfloat16
"""

import argparse
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.common import (
    PACKAGE,
    Json,
    make_parser,
    model_folder,
    names_of,
    open_results,
    read_asked,
    runs_in_turns,
    shown,
    source_digest,
    unhurried,
    weights_of,
)
from evaluation.intervals import Interval, difference, draw, interval, mean_over_tasks, resampled
from evaluation.loop import predict
from evaluation.metrics import Score
from evaluation.questions import DEVELOPMENT, QuestionRow
from evaluation.scores import score_answers
from models.settings import Settings, load_settings
from utilities.errors import exit_code
from utilities.options import positive
from utilities.printed_tables import print_table

EXAMPLES = """\
  python -m benchmarks.compare_precisions                                       data/development.json, all three
  python -m benchmarks.compare_precisions --data FILE --repeats 3               median seconds of three runs in turns
  python -m benchmarks.compare_precisions --ways float32-packed,bfloat16-packed --data held_out.jsonl
"""
_SEED = 0
_SPEEDS = ("seconds", "tokens_per_second", "milliseconds_per_step")
WAYS = ("float32", "float32-packed", "bfloat16-packed")


def main(argv: Sequence[str] | None = None) -> int:
    """Compare precisions by the options of the command line; print a table and return 0."""
    options = _options(argv)
    questions, data = read_asked(options)
    settings = unhurried(load_settings())
    weights = weights_of(settings.engine)
    results = open_results(options)
    inputs = {"weights": weights, "data": data, "code": source_digest(PACKAGE)}
    runs = runs_in_turns(
        results,
        options.ways,
        options.repeats,
        lambda way: {"way": way, **inputs},
        lambda way: _run(way, settings, questions),
    )
    first = runs[options.ways[0]][0]["answers"]
    report = [_row(way, made, questions, first) for way, made in runs.items()]
    results.finish({"precisions": report, "data": data, "weights": weights})
    _print(report)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("compare_precisions", __doc__, EXAMPLES, data=DEVELOPMENT, threads=True)
    add = parser.add_argument
    add("--ways", type=names_of(WAYS, "precision"), metavar="A,B", default=WAYS, help="names (default: all)")
    add("--repeats", type=positive, metavar="N", default=1, help="runs of each (default: 1)")
    return parser.parse_args(argv)


def _run(way: str, settings: Settings, questions: Sequence[QuestionRow]) -> Json:
    # torch and transformers take seconds to import; finished parts need neither.
    import torch

    from models.engines.process.worker import warm_up
    from models.engines.transformers_engine.engine import TransformersEngine
    from models.engines.transformers_engine.precision import Precision
    from models.shopbench_model import ShopBenchModel

    print(f"precision {way}", file=sys.stderr)
    dtype, _, packed = way.partition("-")
    precision = Precision(getattr(torch, dtype), packed=bool(packed))
    engine = TransformersEngine(model_folder(settings.engine), settings.engine, precision)
    warm_up(engine)
    engine.usage().clear()
    prediction = predict(ShopBenchModel(settings, engine), questions)
    usage = engine.usage()
    return {
        "answers": list(prediction.answers),
        "seconds": prediction.seconds,
        "tokens_per_second": usage.prefill_tokens / max(usage.prefill_seconds, 1e-9),
        "milliseconds_per_step": 1000 * usage.decode_seconds / max(usage.decode_steps, 1),
    }


def _row(way: str, runs: Sequence[Json], questions: Sequence[QuestionRow], first: Sequence[str]) -> Json:
    """Return the scores and differences of a precision's first run, and the median speed of all runs."""
    answers = runs[0]["answers"]
    pairs = zip(questions, answers, first, strict=True)
    differ = Counter(question.task_type.value for question, answer, other in pairs if answer != other)
    return {
        "precision": way,
        "scores": score_answers(questions, answers).to_json(),
        "difference": _difference(questions, answers, first)._asdict(),
        "differ": dict(differ),
        **{name: statistics.median(run[name] for run in runs) for name in _SPEEDS},
        "runs": [{name: run[name] for name in _SPEEDS} for run in runs],
        "runs_agree": all(run["answers"] == answers for run in runs),
    }


def _difference(questions: Sequence[QuestionRow], answers: Sequence[str], first: Sequence[str]) -> Interval:
    """Return the difference of the mean over tasks, with its interval paired by question."""
    rows = zip(questions, *(score_answers(questions, each).rows for each in (answers, first)), strict=True)
    tasks: dict[str, list[tuple[Score, Score]]] = defaultdict(list)
    for question, mine, theirs in rows:
        if mine is not None and theirs is not None:
            tasks[question.task_name].append((mine, theirs))
    drawn = draw({task: len(pairs) for task, pairs in tasks.items()}, _SEED)
    scored = [
        dict(enumerate(resampled(side, indices) for side in zip(*tasks[task], strict=True))) for task, indices in drawn
    ]
    means = mean_over_tasks(scored)
    return interval(difference(means[0], means[1]))


def _print(report: Sequence[Mapping[str, Any]]) -> None:
    columns = ("precision", "overall", "difference", "differ", "seconds", "share", "tokens/s", "ms/step")
    print_table(columns, [_cells(row, report[0]["seconds"]) for row in report])
    for row in report:
        if row["differ"]:
            print(f"{row['precision']}: {', '.join(f'{kind} {count}' for kind, count in row['differ'].items())}")


def _cells(row: Mapping[str, Any], base: float) -> list[str]:
    found = row["difference"]
    return [
        row["precision"],
        shown(row["scores"]["overall"]),
        f"{found['value']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]",
        str(sum(row["differ"].values())),
        shown(row["seconds"], 1),
        shown(row["seconds"] / base, 2),
        shown(row["tokens_per_second"], 0),
        shown(row["milliseconds_per_step"], 1),
    ]


if __name__ == "__main__":
    sys.exit(exit_code(main))
