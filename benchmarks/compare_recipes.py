"""Ways of answering the same questions with the same base model: scores, seconds, share of the floor.

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
from typing import TYPE_CHECKING, Any

from benchmarks.common import (
    PACKAGE,
    Json,
    make_parser,
    names_of,
    open_results,
    read_asked,
    runs_in_turns,
    shown,
    source_digest,
    unhurried,
    weights_of,
)
from evaluation.loop import DescribesItself, predict
from evaluation.questions import DEVELOPMENT, QuestionRow
from evaluation.scores import score_answers
from models.settings import Settings, load_settings
from utilities.errors import exit_code
from utilities.options import positive
from utilities.printed_tables import print_table
from utilities.task_type import TaskType

if TYPE_CHECKING:
    from benchmarks.floor import Floor

EXAMPLES = """\
  python -m benchmarks.compare_recipes                         data/development.json, all four
  python -m benchmarks.compare_recipes --data FILE             the official questions, from your own copy
  python -m benchmarks.compare_recipes --recipes kit,shopalign --limit 8
  python -m benchmarks.compare_recipes --repeats 3             median seconds of three runs in turns
  python -m benchmarks.compare_recipes --recipes untuned,shopalign --repeats 3        costs and gains of tuning

An interrupted run resumes with the first recipe that was not finished.
"""
NAMES = ("kit", "digits", "untuned", "shopalign")
# The kit's part depends on no other code, so it stays finished when the package changes.
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

    questions, data = read_asked(options)
    settings = unhurried(load_settings())
    weights = weights_of(settings.engine)
    results = open_results(options)
    runs = runs_in_turns(
        results,
        options.recipes,
        options.repeats,
        lambda name: {"weights": weights, **_inputs(name, settings, data)},
        lambda name: _run(name, settings, questions),
    )
    floor = measure_floor(settings.engine, [question.input_field for question in questions])
    report = [_row(name, made, questions, floor) for name, made in runs.items()]
    report = [{**row, "times_as_fast": report[0]["seconds"] / row["seconds"]} for row in report]
    results.finish({"recipes": report, "floor": floor.to_json(), "data": data, "weights": weights})
    _print(report)
    print_floor(floor, len(questions))
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("compare_recipes", __doc__, EXAMPLES, data=DEVELOPMENT, threads=True)
    add = parser.add_argument
    names = ",".join(NAMES)
    add("--recipes", type=names_of(NAMES, "recipe"), metavar="A,B", default=NAMES, help=f"names (default: {names})")
    add("--repeats", type=positive, metavar="N", default=1, help="runs of each (default: 1)")
    return parser.parse_args(argv)


def _inputs(name: str, settings: Settings, data: Mapping[str, Any]) -> Json:
    ours = name in ("untuned", "shopalign")
    return {
        "recipe": name,
        "data": {"sha256": data["sha256"], "questions": data["questions"]},
        "sources": source_digest(_SOURCES[name]),
        "settings": asdict(settings) if ours else {"dtype": settings.engine.dtype, "device": settings.engine.device},
    }


def _run(name: str, settings: Settings, questions: Sequence[QuestionRow]) -> Json:
    # torch and transformers take seconds to import; finished parts need neither.
    from benchmarks.recipes import RECIPES

    print(f"recipe {name}", file=sys.stderr)
    model = RECIPES[name](settings)
    prediction = predict(model, questions)
    described = model.describe()["weights"] if isinstance(model, DescribesItself) else None
    return {"answers": list(prediction.answers), "seconds": prediction.seconds, "described": described}


def _row(name: str, runs: Sequence[Json], questions: Sequence[QuestionRow], floor: "Floor") -> Json:
    """Return the scores of a recipe's first run, as all recipes are deterministic, and the speed of all runs."""
    seconds = statistics.median(run["seconds"] for run in runs)
    return {
        "recipe": name,
        "scores": score_answers(questions, runs[0]["answers"]).to_json(),
        "runs_agree": all(run["answers"] == runs[0]["answers"] for run in runs),
        "seconds": seconds,
        "seconds_of_runs": [run["seconds"] for run in runs],
        "question_tokens_per_second": floor.question_tokens / seconds,
        "share_of_floor": floor.seconds / seconds,
    }


def _print(report: Sequence[Json]) -> None:
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
