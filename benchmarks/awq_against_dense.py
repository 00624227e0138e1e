"""What 4-bit weights cost: the scores of a dense model and of its AWQ copy on the same questions, and the loss."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.common import (
    Json,
    Results,
    add_questions,
    add_threads,
    conditions,
    make_parser,
    print_table,
    set_threads,
    unhurried,
)
from benchmarks.held_out import ask_tasks, summarise
from benchmarks.overrides import with_overrides
from evaluation.question_sample import Overlap, draw_sample
from evaluation.questions import QuestionRow, read_questions
from evaluation.run_record import describe_data
from models.engines.weights import holds_model
from models.settings import Settings, load_settings
from utilities.errors import UserError, exit_code

EXAMPLES = """\
  python -m benchmarks.awq_against_dense --dense models/weights/smollm2-135m-instruct \\
      --awq models/weights/smollm2-135m-instruct-awq --data FILE
  python -m benchmarks.awq_against_dense --dense DIR --awq DIR --kernels
      on a CPU too with the packed weights, which round more than dense ones
"""
DENSE, AWQ = "dense", "AWQ"
ALL = "mean over tasks"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = _options(argv)
    variants = _variants(options)
    questions = read_questions(options.data)[: options.limit]
    tasks = draw_sample(questions, len(questions), options.seed, Overlap([])).tasks
    results = Results(options.results, conditions(set_threads(options.threads), options.seed), fresh=options.fresh)
    parts = {name: ask_tasks(settings, tasks, results) for name, settings in variants.items()}
    rows = compare(parts, tasks, options.seed)
    report = {
        "rows": rows,
        "data": describe_data(options.data, sum(map(len, tasks.values()))),
        "settings": {name: asdict(settings) for name, settings in variants.items()},
    }
    results.finish(report)
    _print(rows)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("awq_against_dense", __doc__, EXAMPLES)
    add_questions(parser)
    add_threads(parser)
    add = parser.add_argument
    add("--dense", type=Path, required=True, metavar="DIR", help="the folder of the dense weights")
    add("--awq", type=Path, required=True, metavar="DIR", help="the folder of the 4-bit weights")
    add("--kernels", action="store_true", help="compute with the packed weights wherever the model runs")
    add("--seed", type=int, default=0, metavar="S", help="of the intervals (default: %(default)s)")
    add("--set", action="append", metavar="NAME=VALUE", default=[], help="change a setting of both; may be given again")
    return parser.parse_args(argv)


def _variants(options: argparse.Namespace) -> dict[str, Settings]:
    settings = with_overrides(unhurried(load_settings()), options.set)
    found = {}
    for name, folder in ((DENSE, options.dense), (AWQ, options.awq)):
        if not holds_model(folder):
            raise UserError(f"--{name.lower()} {folder} holds no model: name a folder with config and safetensors")
        awq = "kernels" if options.kernels else settings.engine.awq
        engine = replace(settings.engine, weights=str(folder.resolve()), adapter="", awq=awq)
        found[name] = replace(settings, engine=engine)
    return found


def compare(
    parts: Mapping[str, Mapping[str, Json]], tasks: Mapping[str, Sequence[QuestionRow]], seed: int
) -> dict[str, Json | None]:
    """Return scores, difference and their intervals over all tasks and over those of each task type.

    A score is the mean over its tasks, a difference is AWQ minus dense, paired by question; None where no task of a
    type can be scored on this machine.
    """
    kinds = sorted({str(questions[0].task_type) for questions in tasks.values()})
    groups = {ALL: list(tasks)} | {
        kind: [task for task, questions in tasks.items() if questions[0].task_type == kind] for kind in kinds
    }
    return {
        name: summarise(
            {variant: {task: part[task] for task in members} for variant, part in parts.items()},
            {task: tasks[task] for task in members},
            seed,
        )["overall"]
        for name, members in groups.items()
    }


def _print(rows: Mapping[str, Json | None]) -> None:
    print_table(
        ["", "questions", f"{DENSE} [95 %]", f"{AWQ} [95 %]", "difference [95 %]"],
        [_cells(name, found) for name, found in rows.items()],
    )


def _cells(name: str, found: Json | None) -> list[str]:
    if found is None:
        return [name, "-", "-", "-", "-"]
    scores = [_interval(found["scores"][variant], "") for variant in (DENSE, AWQ)]
    return [name, str(found["questions"]), *scores, _interval(found["difference"], "+")]


def _interval(found: Sequence[float], sign: str) -> str:
    value, low, high = (f"{number:{sign}.3f}" for number in found)
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    sys.exit(exit_code(main))
