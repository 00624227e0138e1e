"""Scores of runs by task, task type and track with intervals, and the differences between runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from evaluation.intervals import Drawn, Interval, Scored, difference, draw, interval, mean_over_tasks, resampled
from evaluation.metrics import Score
from evaluation.question_record import QuestionRecord
from evaluation.questions import QuestionRow
from evaluation.report.runs import Run, by_task, rows_of, share_of

SEED = 0
_SAME = 1e-9
_FEWEST_CHANGED = 6
"""With fewer changes no difference is significant: 2 x 0.5^5 is over 5 % (sign test)."""


@dataclass(frozen=True)
class Difference:
    """A run's score minus the first run's; better, worse and same count questions.

    `changed` counts distinct questions that are better or worse.
    """

    interval: Interval
    better: int
    worse: int
    same: int
    changed: int

    @property
    def verdict(self) -> str:
        """Whether the interval excludes zero and enough questions changed."""
        if self.changed < _FEWEST_CHANGED or self.interval.low <= 0 <= self.interval.high:
            return "no clear difference"
        return "better" if self.interval.low > 0 else "worse"


@dataclass(frozen=True)
class Line:
    """A task, a type, a track or all tasks: each run's score, and each later run's difference from the first."""

    name: str
    about: str
    questions: int
    scores: tuple[Interval | None, ...]
    differences: tuple[Difference | None, ...]
    not_scored: str = ""


@dataclass(frozen=True)
class Tables:
    """All lines, the tasks in the order of the data."""

    overall: Line
    tasks: tuple[Line, ...]
    task_types: tuple[Line, ...]
    tracks: tuple[Line, ...]


@dataclass(frozen=True)
class _Task:
    """A task, and its resampled scores in each run that has a score for it; all runs use the same draws.

    `first` is its first question; `changes` has better, worse, same and changed (as in `Difference`) of each later run.
    """

    first: QuestionRow
    questions: int
    scored: Mapping[int, Scored]
    changes: tuple[tuple[int, int, int, int], ...]
    not_scored: str


def score_tables(runs: Sequence[Run], seed: int = SEED) -> Tables:
    """Return the runs' scores with intervals; differences are paired, question by question."""
    tasks = {task.first.task_name: task for task in _tasks(runs, seed)}
    in_order = [tasks[name] for name in by_task(runs[0])]
    count = len(runs)
    return Tables(
        overall=_mean("all tasks", in_order, count),
        tasks=tuple(_mean(t.first.task_name, [t], count, f"{t.first.task_type}, {t.first.metric}") for t in in_order),
        task_types=tuple(_grouped(in_order, lambda first: first.task_type.value, count)),
        tracks=tuple(_grouped(in_order, lambda first: first.track, count)),
    )


def _tasks(runs: Sequence[Run], seed: int) -> Iterator[_Task]:
    grouped = [by_task(run) for run in runs]
    asked = {name: _asked(records) for name, records in grouped[0].items()}
    for name, drawn in draw({name: len(set(units)) for name, units in asked.items()}, seed):
        recorded = [run.tasks[name] for run in runs]
        shares = [[share_of(record.own) for record in tasks[name]] for tasks in grouped]
        yield _Task(
            first=grouped[0][name][0].question,
            questions=len(asked[name]),
            scored={
                number: _scored(tasks[name], asked[name], drawn)
                for number, tasks in enumerate(grouped)
                if recorded[number]["score"] is not None
            },
            changes=tuple(_changes(shares[0], other, asked[name]) for other in shares[1:]),
            not_scored=next((each["not_scored"] for each in recorded if each.get("not_scored")), ""),
        )


def _asked(records: Sequence[QuestionRecord]) -> list[int]:
    """Return the number of each question's text, from 0 in order: questions of one text are drawn as one."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(record.question.input_field, len(numbers)) for record in records]


def _scored(records: Sequence[QuestionRecord], asked: Sequence[int], drawn: Drawn) -> Scored:
    units = [unit for unit, record in zip(asked, records, strict=True) for _ in record.scores]
    return resampled(cast(Sequence[Score], rows_of(records)), drawn, units)


def _changes(
    before: Sequence[float | None], after: Sequence[float | None], asked: Sequence[int]
) -> tuple[int, int, int, int]:
    """Count better, worse and same questions, and distinct texts that changed; one not scored is the same."""
    gains = [(b - a) if a is not None and b is not None else 0.0 for a, b in zip(before, after, strict=True)]
    better, worse = sum(gain > _SAME for gain in gains), sum(gain < -_SAME for gain in gains)
    changed = {unit for unit, gain in zip(asked, gains, strict=True) if abs(gain) > _SAME}
    return better, worse, len(gains) - better - worse, len(changed)


def _grouped(tasks: Sequence[_Task], key: Callable[[QuestionRow], str], runs: int) -> Iterator[Line]:
    for name in sorted({key(task.first) for task in tasks}):
        members = [task for task in tasks if key(task.first) == name]
        yield _mean(name, members, runs, f"{len(members)} task{'' if len(members) == 1 else 's'}")


def _mean(name: str, tasks: Sequence[_Task], runs: int, about: str = "") -> Line:
    """Return the mean over the tasks that every run was scored on."""
    counted = [task for task in tasks if len(task.scored) == runs]
    means: Mapping[int, Scored] = mean_over_tasks([task.scored for task in counted]) if counted else {}
    return Line(
        name=name,
        about=about,
        questions=sum(task.questions for task in tasks),
        scores=tuple(interval(means[number]) if number in means else None for number in range(runs)),
        differences=tuple(_difference(means, number, counted) for number in range(1, runs)),
        not_scored=next((task.not_scored for task in tasks if task.not_scored), ""),
    )


def _difference(means: Mapping[int, Scored], number: int, tasks: Sequence[_Task]) -> Difference | None:
    if not means:
        return None
    changes = [task.changes[number - 1] for task in tasks]
    better, worse, same, changed = (sum(column) for column in zip(*changes, strict=True))
    return Difference(interval(difference(means[number], means[0])), better, worse, same, changed)
