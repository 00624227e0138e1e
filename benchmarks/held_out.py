"""The score on questions that are not in the repository: a sample a task, with 95 % bootstrap intervals."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

from tqdm import tqdm

from benchmarks.common import (
    PACKAGE,
    Json,
    Results,
    add_questions,
    add_threads,
    conditions,
    content_key,
    make_parser,
    print_table,
    set_threads,
    shown,
    source_digest,
    unhurried,
    weights_of,
)
from benchmarks.intervals import Drawn, Interval, Scored, draw, mean_over_tasks, resampled, with_intervals
from benchmarks.overrides import with_overrides
from evaluation.metrics import METRICS
from evaluation.parsers import parse
from evaluation.question_sample import Overlap, Sample, draw_sample
from evaluation.questions import QuestionRow, read_questions
from evaluation.run_record import describe_data
from models.settings import Settings, load_settings
from models.shopbench_model import ShopBenchModel
from retrieval.embeddings import NotScorableError
from utilities.errors import UserError, exit_code
from utilities.options import positive

EXAMPLES = """\
  python -m benchmarks.held_out --data FILE
  python -m benchmarks.held_out --data FILE --per-task 50 --seed 1 --against OFFICIAL
      leave out rows that share eight words in a row with a question of OFFICIAL
  python -m benchmarks.held_out --data FILE --set engine.choice=label --set batch_size=8
      other settings
  python -m benchmarks.held_out --data FILE --set engine.choice=label --compare
      both, and the differences between them, paired by question
"""
DEFAULT, CHANGED = "settings in use", "changed"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = _options(argv)
    variants = _variants(options.set, compare=options.compare)
    sample = _sample(options)
    results = Results(options.results, conditions(set_threads(options.threads), options.seed), fresh=options.fresh)
    parts = {name: ask_tasks(settings, sample.tasks, results) for name, settings in variants.items()}
    report = {
        **summarise(parts, sample.tasks, options.seed),
        "refused": sample.refused,
        "data": describe_data(options.data, sum(map(len, sample.tasks.values()))),
        "settings": {name: asdict(settings) for name, settings in variants.items()},
    }
    results.finish(report)
    _print(report)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("held_out", __doc__, EXAMPLES)
    add_questions(parser, None)
    add_threads(parser)
    add = parser.add_argument
    add("--per-task", type=positive, metavar="N", default=20, help="questions of each task (default: %(default)s)")
    add("--seed", type=int, metavar="S", default=0, help="of the sample and the intervals (default: %(default)s)")
    add(
        "--max-characters",
        type=positive,
        metavar="N",
        default=2000,
        help="leave longer questions out (default: %(default)s)",
    )
    add("--against", type=Path, metavar="FILE", help="leave out rows that share eight words with a question of FILE")
    add("--set", action="append", metavar="NAME=VALUE", default=[], help="change a setting; may be given again")
    add("--compare", action="store_true", help="measure the settings in use as well, and the differences")
    return parser.parse_args(argv)


def _variants(overrides: Sequence[str], *, compare: bool) -> dict[str, Settings]:
    settings = unhurried(load_settings())
    if compare and not overrides:
        raise UserError("--compare needs something to compare with: give --set NAME=VALUE")
    in_use = {DEFAULT: settings} if compare or not overrides else {}
    changed = {CHANGED: with_overrides(settings, overrides)} if overrides else {}
    return {**in_use, **changed}


def _sample(options: argparse.Namespace) -> Sample:
    questions = read_questions(options.data)[: options.limit]
    against = read_questions(options.against) if options.against else []
    overlap = Overlap([question.input_field for question in against])
    short = [question for question in questions if len(question.input_field) <= options.max_characters]
    sample = draw_sample(short, options.per_task, options.seed, overlap)
    if not sample.tasks:
        raise UserError(
            f"{options.data}: no question is left (longer than {options.max_characters} characters, or shared "
            "with --against): raise --max-characters or name another file"
        )
    return sample


def ask_tasks(settings: Settings, tasks: Mapping[str, Sequence[QuestionRow]], results: Results) -> dict[str, Json]:
    """Return answers, seconds and fallbacks of every task; finished tasks are not asked again."""
    model = cache(partial(ShopBenchModel, settings))
    inputs = {
        "settings": asdict(settings),
        "weights": weights_of(settings.engine),
        "sources": source_digest(PACKAGE),
    }
    parts = {}
    with tqdm(total=sum(map(len, tasks.values())), desc="held-out questions", unit="question") as progress:
        for task, questions in tasks.items():
            asked = content_key({"questions": [question.input_field for question in questions]})
            found = {**inputs, "task": task, "questions": asked}
            parts[task] = results.part(found, partial(ask_questions, model, questions))
            progress.update(len(questions))
    return parts


def ask_questions(load: Callable[[], ShopBenchModel], questions: Sequence[QuestionRow]) -> Json:
    """Return answers, seconds and fallbacks of one task's questions, asked in batches of the model's size."""
    model = load()
    answers: list[str] = []
    before, seconds = Counter(model.fallbacks), 0.0
    size = model.get_batch_size()
    for start in range(0, len(questions), size):
        batch = [question.input_field for question in questions[start : start + size]]
        started = time.perf_counter()
        answers += model.batch_predict({"prompt": batch}, questions[0].is_multiple_choice)
        seconds += time.perf_counter() - started
    fallbacks = dict(Counter(model.fallbacks) - before)
    return {"answers": answers, "seconds": seconds, "fallbacks": fallbacks}


def summarise(parts: Mapping[str, Mapping[str, Json]], tasks: Mapping[str, Sequence[QuestionRow]], seed: int) -> Json:
    """Return each task's and the mean score of each variant with intervals, and the differences of two variants."""
    drawn = draw({task: len(questions) for task, questions in tasks.items()}, seed)
    rows: list[Json] = []
    scored: list[dict[str, Scored]] = []
    for task, asked in tasks.items():
        of_task = {name: part[task] for name, part in parts.items()}
        row = _about(task, asked, of_task)
        try:
            scored.append({name: _scored(asked, part["answers"], drawn[task]) for name, part in of_task.items()})
        except NotScorableError as missing:
            rows.append({**row, "not_scored": str(missing)})
        else:
            rows.append({**row, **with_intervals(scored[-1])})
    if not scored:
        return {"tasks": rows, "overall": None}
    questions = sum(map(len, tasks.values()))
    seconds = {name: sum(found["seconds"] for found in part.values()) / questions for name, part in parts.items()}
    overall = {"questions": questions, "seconds_per_question": seconds, **with_intervals(mean_over_tasks(scored))}
    return {"tasks": rows, "overall": overall}


def _about(task: str, questions: Sequence[QuestionRow], of_task: Mapping[str, Json]) -> Json:
    return {
        "task": task,
        "metric": questions[0].metric,
        "questions": len(questions),
        "seconds_per_question": {name: part["seconds"] / len(questions) for name, part in of_task.items()},
        "fallbacks": {name: part["fallbacks"] for name, part in of_task.items()},
    }


def _scored(questions: Sequence[QuestionRow], answers: Sequence[str], drawn: Drawn) -> Scored:
    """Score one task's answers; all its questions have one metric.

    Raises:
        NotScorableError: the metric needs something that this machine lacks.
    """
    predictions = [parse(question.task_type, answer) for question, answer in zip(questions, answers, strict=True)]
    metric = METRICS[questions[0].metric]
    return resampled(metric.score(predictions, [question.output_field for question in questions]), drawn)


def _print(report: Json) -> None:
    names = list(report["settings"])
    columns = ["task", "questions", *(f"{name} [95 %]" for name in names)]
    columns += ["difference [95 %]"] * (len(names) > 1) + [f"s/question, {name}" for name in names]
    overall = [{"task": "mean over tasks", **report["overall"]}] if report["overall"] else []
    print_table(columns, [_cells(row, names) for row in [*report["tasks"], *overall]])
    for row in report["tasks"]:
        if "not_scored" in row:
            print(f"{row['task']} is not scored and left out of the mean: {row['not_scored']}")
    fallbacks = sum(sum(counts.values()) for row in report["tasks"] for counts in row["fallbacks"].values())
    print(f"fallbacks: {fallbacks}; left out for shared wording: {sum(report['refused'].values())}")


def _cells(row: Json, names: Sequence[str]) -> list[str]:
    scores, seconds = row.get("scores", {}), row.get("seconds_per_question", {})
    difference = [_shown(row.get("difference"), signed=True)] if len(names) > 1 else []
    return [
        row["task"],
        str(row.get("questions", "")),
        *(_shown(scores.get(name)) for name in names),
        *difference,
        *(shown(seconds.get(name), 2) for name in names),
    ]


def _shown(found: Interval | None, *, signed: bool = False) -> str:
    if found is None:
        return "-"
    value, low, high = (f"{number:+.3f}" if signed else f"{number:.3f}" for number in found)
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    sys.exit(exit_code(main))
