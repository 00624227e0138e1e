"""Ways of answering the same questions with the same base model, side by side: scores, seconds, share of the floor.

kit        the starter kit's baseline: a system sentence and the question, no chat template, 100 new tokens
digits     after NVIDIA's entry: chat template, output limits by task type, digits and commas only
untuned    this package with the settings in use, without their adapter
shopalign  this package with the settings in use
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from benchmarks.common import (
    PACKAGE,
    Json,
    Results,
    add_questions,
    add_threads,
    conditions,
    make_parser,
    print_table,
    set_threads,
    shown,
    source_digest,
    unhurried,
    weights_of,
)
from evaluation.loop import DescribesItself, predict
from evaluation.questions import QuestionRow, read_questions
from evaluation.run_record import describe_data
from evaluation.scores import score_answers
from models.settings import Settings, load_settings
from utilities.errors import exit_code
from utilities.options import positive
from utilities.task_type import TaskType

EXAMPLES = """\
  python -m benchmarks.compare_recipes                         data/development.json, all four
  python -m benchmarks.compare_recipes --data FILE             the official questions, from your own copy
  python -m benchmarks.compare_recipes --recipes kit,shopalign --limit 8
  python -m benchmarks.compare_recipes --repeats 3             median seconds of three runs that take turns
  python -m benchmarks.compare_recipes --recipes untuned,shopalign --repeats 3        what tuning costs and brings

An interrupted run goes on with the first recipe that was not finished.
"""
NAMES = ("kit", "digits", "untuned", "shopalign")
# What a recipe's answers and seconds depend on: the kit's part outlives a change of the package.
_SOURCES: Mapping[str, Sequence[str]] = {
    "kit": ("benchmarks/recipes.py",),
    "digits": ("benchmarks/recipes.py", "prompts/*.py"),
    "untuned": PACKAGE,
    "shopalign": PACKAGE,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Compare recipes by the options of the command line; print tables and return 0."""
    options = _options(argv)
    from benchmarks.floor import measure_floor, print_floor

    questions = read_questions(options.data)[: options.limit]
    settings = unhurried(load_settings())
    weights = weights_of(settings.engine)
    results = Results(options.results, conditions(set_threads(options.threads), None), fresh=options.fresh)
    data = describe_data(options.data, len(questions))
    runs: dict[str, list[Json]] = {name: [] for name in options.recipes}
    for repeat in range(options.repeats):
        for name in options.recipes:
            inputs = _inputs(name, repeat, settings, weights, data)
            runs[name].append(results.part(inputs, partial(_run, name, settings, questions)))
    floor = measure_floor(settings.engine, [question.input_field for question in questions])
    table = [_row(name, runs[name], questions) for name in options.recipes]
    report = [_against(row, table[0], floor.question_tokens, floor.seconds) for row in table]
    results.finish({"recipes": report, "floor": floor.to_json(), "data": data, "weights": weights})
    print_recipes(report)
    print_floor(floor, len(questions))
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("compare_recipes", __doc__, EXAMPLES)
    add_questions(parser)
    add_threads(parser)
    parser.add_argument(
        "--recipes", type=recipe_names, metavar="A,B", default=NAMES, help=f"which ones (default: {','.join(NAMES)})"
    )
    parser.add_argument("--repeats", type=positive, metavar="N", default=1, help="runs of each (default: 1)")
    return parser.parse_args(argv)


def recipe_names(text: str) -> tuple[str, ...]:
    """Read `--recipes`: names with commas between them, each once, in the order in which all are listed."""
    given = [name.strip() for name in text.split(",")]
    unknown = [name for name in given if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown recipe {unknown[0]!r}; choose from {','.join(NAMES)}")
    return tuple(name for name in NAMES if name in given)


def _inputs(name: str, repeat: int, settings: Settings, weights: str, data: Mapping[str, Any]) -> Json:
    engine = settings.engine
    return {
        "recipe": name,
        "repeat": repeat,
        "data": {"sha256": data["sha256"], "questions": data["questions"]},
        "weights": weights,
        "sources": source_digest(_SOURCES[name]),
        "settings": asdict(settings)
        if name in ("untuned", "shopalign")
        else {"dtype": engine.dtype, "device": engine.device},
    }


def _run(name: str, settings: Settings, questions: Sequence[QuestionRow]) -> Json:
    # torch and transformers take seconds to import; finished parts need neither.
    from benchmarks.recipes import RECIPES

    print(f"recipe {name}", file=sys.stderr)
    model = RECIPES[name](settings)
    prediction = predict(model, questions)
    described = model.describe()["weights"] if isinstance(model, DescribesItself) else None
    return {"answers": list(prediction.answers), "seconds": prediction.seconds, "described": described}


def _row(name: str, runs: Sequence[Json], questions: Sequence[QuestionRow]) -> Json:
    """Gather one recipe's runs; the first one's answers are scored, because all ways are greedy."""
    seconds = [run["seconds"] for run in runs]
    return {
        "recipe": name,
        "scores": score_answers(questions, runs[0]["answers"]).to_json(),
        "runs_agree": all(run["answers"] == runs[0]["answers"] for run in runs),
        "seconds": statistics.median(seconds),
        "seconds_of_runs": seconds,
    }


def _against(row: Json, first: Json, tokens: int, floor_seconds: float) -> Json:
    """Add what compares a recipe: with the first one listed and with the machine."""
    seconds = row["seconds"]
    return {
        **row,
        "times_as_fast": first["seconds"] / seconds,
        "question_tokens_per_second": tokens / seconds,
        "share_of_floor": floor_seconds / seconds,
    }


def print_recipes(report: Sequence[Json]) -> None:
    """Print one line a recipe."""
    types = [kind.value for kind in TaskType if kind in report[0]["scores"]["task_types"]]
    columns = ("recipe", "overall", *types, "seconds", f"times as fast as {report[0]['recipe']}", "tokens/s", "floor")
    print_table(columns, [_cells(row, types) for row in report])


def _cells(row: Json, types: Sequence[str]) -> list[str]:
    scores = row["scores"]
    return [
        row["recipe"],
        shown(scores["overall"]),
        *(shown(scores["task_types"][kind]) for kind in types),
        shown(row["seconds"], 1),
        shown(row["times_as_fast"], 2),
        shown(row["question_tokens_per_second"], 0),
        f"{row['share_of_floor']:.0%}",
    ]


if __name__ == "__main__":
    sys.exit(exit_code(main))
