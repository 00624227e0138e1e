"""Prints scores as tables: with rules in a terminal, as plain aligned columns of any width into a pipe."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from evaluation.run_record import RunRecord
from evaluation.scores import Scores

NOT_SCORED = "not scored"
# A pipe has no width; without this one rich would fold lines at 80 columns.
_PIPE_WIDTH = 1000


def console_for(file: TextIO) -> Console:
    """Return a console that prints names literally; it emits escape codes only into a terminal."""
    width = None if file.isatty() else _PIPE_WIDTH
    return Console(file=file, width=width, markup=False, emoji=False, highlight=False)


def print_scores(scores: Scores, console: Console) -> None:
    """Print tables by task, task type and track, the overall score, and the reason for each task not scored."""
    tasks = ((t.name, t.task_type, t.metric, str(t.questions), _shown(t.score)) for t in scores.tasks)
    _print_table(console, ("task", "type", "metric", "questions", "score"), tasks)
    for group, means in (("task type", scores.task_types), ("track", scores.tracks)):
        _print_table(console, (group, "score"), ((name, _shown(mean)) for name, mean in means.items()))
    console.print(f"overall: {_shown(scores.overall)} (mean over tasks)", soft_wrap=True)
    for task in scores.tasks:
        if task.not_scored is not None:
            line = f"{task.name} is {NOT_SCORED} and left out of the means: {task.not_scored}"
            console.print(line, soft_wrap=True)


def print_run(run: RunRecord, data_sha256: object, console: Console) -> None:
    """Print the run's times against the evaluator's limit, its fallbacks and events, and the catalogue it used."""
    prediction, slowest = run.prediction, run.prediction.slowest_batch
    per_question = prediction.seconds / len(prediction.answers)
    verdict = "within" if slowest.seconds <= slowest.limit else "OVER"
    lines = [
        f"loading: {run.load_seconds:.1f} s; predicting: {prediction.seconds:.1f} s, {per_question:.2f} s a question",
        f"slowest batch: {slowest.seconds:.1f} s for {slowest.questions} questions, {verdict} the limit of "
        f"{slowest.limit:.0f} s",
        f"fallbacks: {_fallbacks(run.fallbacks)}",
    ]
    if isinstance(catalogue := run.description["catalogue"], Mapping) and catalogue:
        lines.append(f"catalogue: {_catalogue(catalogue, data_sha256)}")
    if run.events:
        lines.append(f"events: {', '.join(f'{event}: {count}' for event, count in run.events.items())}")
    for line in lines:
        console.print(line, soft_wrap=True)


def _fallbacks(reasons: Mapping[str, int] | None) -> str:
    if reasons is None:
        return "not counted by this model"
    listed = ", ".join(f"{reason}: {count}" for reason, count in reasons.items() if count)
    return f"{sum(reasons.values())} ({listed})" if listed else "0"


def _catalogue(catalogue: Mapping[str, Any], data_sha256: object) -> str:
    """Say whether the catalogue may hold the answers of the questions with this SHA-256."""
    left_out = any(each["sha256"] == data_sha256 for each in catalogue["excluded"])
    rows = "left out" if left_out else "NOT left out: it may hold answers"
    return f"{catalogue['counts']['products']} products, rows of these questions {rows}"


def _print_table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print one table, with the numbers of `questions` and `score` aligned to the right."""
    ruled = console.is_terminal
    table = Table(box=box.SIMPLE_HEAD if ruled else None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in ("questions", "score") else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if not ruled:
        console.print()


def _shown(score: float | None) -> str:
    return NOT_SCORED if score is None else f"{score:.4f}"
