"""Scores as tables for people: ruled in a terminal, plain aligned columns of any width in a pipe."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from evaluation.run_record import Run
from evaluation.scores import Scores

NOT_SCORED = "not scored"
# A pipe has no width; rich would assume 80 columns and fold.
_PIPE_WIDTH = 1000


def console_for(file: TextIO) -> Console:
    """Return a console that shows names as they are; it emits no escape codes unless `file` is a terminal."""
    width = None if file.isatty() else _PIPE_WIDTH
    return Console(file=file, width=width, markup=False, emoji=False, highlight=False)


def print_scores(scores: Scores, console: Console) -> None:
    """Print tables per task, task type and track, the overall score, and why a task was not scored."""
    tasks = ((t.name, t.task_type, t.metric, str(t.questions), _shown(t.score)) for t in scores.tasks)
    _print_table(console, ("task", "type", "metric", "questions", "score"), tasks)
    _print_means(console, "task type", scores.task_types)
    _print_means(console, "track", scores.tracks)
    _print_line(console, f"overall: {_shown(scores.overall)} (mean over tasks)")
    for task in scores.tasks:
        if task.not_scored is not None:
            _print_line(console, f"{task.name} is {NOT_SCORED} and left out of the means: {task.not_scored}")


def print_run(run: Run, data_sha256: object, console: Console) -> None:
    """Print the run's times against the evaluator's limit, its fallbacks, and what it knew of these questions."""
    prediction, slowest = run.prediction, run.prediction.slowest_batch
    per_question = prediction.seconds / len(prediction.answers)
    _print_line(
        console,
        f"loading: {run.load_seconds:.1f} s; predicting: {prediction.seconds:.1f} s, {per_question:.2f} s a question",
    )
    verdict = "within" if slowest.seconds <= slowest.limit else "OVER"
    _print_line(
        console,
        f"slowest batch: {slowest.seconds:.1f} s for {slowest.questions} questions, "
        f"{verdict} the limit of {slowest.limit:.0f} s",
    )
    _print_line(console, f"fallbacks: {_fallbacks(run.fallbacks)}")
    if run.catalogue:
        _print_line(console, f"catalogue: {run.knowledge_of(data_sha256)}")
    if run.events:
        listed = ", ".join(f"{event}: {count}" for event, count in run.events.items())
        _print_line(console, f"events: {listed}")


def _fallbacks(reasons: Mapping[str, int] | None) -> str:
    if reasons is None:
        return "not counted by this model"
    listed = ", ".join(f"{reason}: {count}" for reason, count in reasons.items() if count)
    return f"{sum(reasons.values())} ({listed})" if listed else "0"


def _print_means(console: Console, what: str, means: Mapping[str, float | None]) -> None:
    _print_table(console, (what, "score"), ((name, _shown(mean)) for name, mean in means.items()))


def _print_table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print one table; the columns of numbers, `questions` and `score`, are set flush right."""
    ruled = console.is_terminal
    table = Table(box=box.SIMPLE_HEAD if ruled else None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in ("questions", "score") else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if not ruled:
        console.print()


def _print_line(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True)


def _shown(score: float | None) -> str:
    return NOT_SCORED if score is None else f"{score:.4f}"
