"""Scores answers: parses them, compares them with references, and averages over tasks, task types and tracks."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np

from evaluation.metrics import METRICS, MICRO_F1, Counts, Score, micro_f1
from evaluation.parsers import parse
from evaluation.questions import QuestionRow
from retrieval.embeddings import NotScorableError
from utilities.grouping import grouped, in_order
from utilities.task_type import TaskType


class Row(NamedTuple):
    """A question and an answer that the evaluator scores for it."""

    question: QuestionRow
    answer: str


@dataclass(frozen=True)
class TaskScore:
    """One task's score from 0 to 1, or None with the reason in `not_scored`.

    Type, metric and track are those of the task's first question, as in the evaluator; `questions` counts rows (see
    `join_answers`).
    """

    name: str
    task_type: TaskType
    metric: str
    track: str
    questions: int
    score: float | None
    not_scored: str | None = None

    def to_json(self) -> dict[str, object]:
        """Return the task's fields of scores.json; `not_scored` only if it applies."""
        names = ["score", "metric", "task_type", "questions", *(["not_scored"] if self.not_scored else [])]
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Scores:
    """The scores of all tasks, in the order of the data; means leave out tasks that were not scored.

    `rows` are the scores of the rows of `join_answers`, None for a row that cannot be scored.
    """

    tasks: tuple[TaskScore, ...]
    rows: tuple[Score | None, ...] = ()

    @property
    def overall(self) -> float | None:
        """The mean over all tasks, None if no task was scored."""
        return _mean(self.tasks)

    @property
    def task_types(self) -> dict[str, float | None]:
        """The mean over the tasks of each type."""
        return _means(self.tasks, lambda task: task.task_type.value)

    @property
    def tracks(self) -> dict[str, float | None]:
        """The mean over the tasks of each track."""
        return _means(self.tasks, lambda task: task.track)

    def to_json(self) -> dict[str, object]:
        """Return the scores' fields of scores.json."""
        return {
            "overall": self.overall,
            "tasks": {task.name: task.to_json() for task in self.tasks},
            "task_types": self.task_types,
            "tracks": self.tracks,
        }


def score_answers(questions: Sequence[QuestionRow], answers: Sequence[str]) -> Scores:
    """Score `answers`, one for each question and in the same order."""
    rows = join_answers(questions, answers)
    values = _score_rows(rows)
    tasks = grouped([row.question.task_name for row in rows])
    return Scores(
        tuple(_task_score([rows[i].question for i in of], [values[i] for i in of]) for of in tasks.values()),
        tuple(None if isinstance(value, NotScorableError) else value for value in values),
    )


def join_answers(questions: Sequence[QuestionRow], answers: Sequence[str]) -> list[Row]:
    """Pair each question with every answer to a question of the same text.

    The evaluator joins by `input_field` alone, so a text that occurs n times makes n x n rows.
    """
    given: dict[str, list[str]] = defaultdict(list)
    for question, answer in zip(questions, answers, strict=True):
        given[question.input_field].append(answer)
    return [Row(question, answer) for question in questions for answer in given[question.input_field]]


def _score_rows(rows: Sequence[Row]) -> list[Score | NotScorableError]:
    """Score each row by its question's metric, all rows of a metric in one call."""

    def score(metric: str, indices: Sequence[int]) -> Sequence[Score | NotScorableError]:
        predictions = [parse(rows[index].question.task_type, rows[index].answer) for index in indices]
        references = [rows[index].question.output_field for index in indices]
        try:
            return METRICS[metric].score(predictions, references)
        except NotScorableError as missing:
            return [missing] * len(indices)

    return in_order(grouped([row.question.metric for row in rows]), score)


def _task_score(questions: Sequence[QuestionRow], values: Sequence[Score | NotScorableError]) -> TaskScore:
    """Aggregate by the first question's metric; one row that cannot be scored leaves the task unscored."""
    first = questions[0]
    described = (first.task_name, first.task_type, first.metric, first.track, len(questions))
    missing = next((value for value in values if isinstance(value, NotScorableError)), None)
    if missing:
        return TaskScore(*described, score=None, not_scored=str(missing))
    if first.metric == MICRO_F1:
        return TaskScore(*described, score=micro_f1(cast(Sequence[Counts], values)))
    return TaskScore(*described, score=float(np.mean(cast(Sequence[float], values))))


def _means(tasks: Sequence[TaskScore], key: Callable[[TaskScore], str]) -> dict[str, float | None]:
    groups = grouped([key(task) for task in tasks])
    return {name: _mean([tasks[index] for index in of]) for name, of in sorted(groups.items())}


def _mean(tasks: Iterable[TaskScore]) -> float | None:
    scores = [task.score for task in tasks if task.score is not None]
    return float(np.mean(scores)) if scores else None
