"""Questions in the evaluator's format, one a row: JSON Lines, a JSON array, or a table."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AliasChoices, Field, StrictBool, TypeAdapter, ValidationError

from evaluation.metrics import METRICS, MICRO_F1
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.tables import naming, read_rows, shown
from utilities.task_type import TaskType

T = TypeVar("T")
UNKNOWN_TRACK = "unknown"
DEVELOPMENT = ROOT / "data" / "development.json"
"""The questions that the package ships."""


@dataclass(frozen=True)
class QuestionRow:
    """One question; `output_field` is its reference, in the form that `metric` needs."""

    input_field: str
    output_field: object
    task_name: Annotated[str, Field(validation_alias=AliasChoices("task_name", "task"))]
    task_type: TaskType
    metric: str
    is_multiple_choice: StrictBool
    track: str


_ROW = TypeAdapter(QuestionRow)


def read_questions(path: Path) -> list[QuestionRow]:
    """Read every question of the file; blank lines and unknown fields are ignored.

    `track` and `is_multiple_choice` are optional, and `task_name` may be called `task`.

    Raises:
        UserError: the file cannot be read, holds no question, or a line is not a question that can be scored.
    """
    questions = []
    for place, row, _, is_json in read_rows(path):
        with naming(place):
            questions.append(_question(row if is_json else with_types(row)))
    if not questions:
        raise UserError(f"{path} holds no question: give each question a line or a row")
    _check_mixed_metrics(path, questions)
    return questions


def checked(form: TypeAdapter[T], value: object) -> T:
    """Return a JSON object as the type of `form`.

    Raises:
        ValueError: a field is missing or does not fit; the message names the first one.
    """
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    try:
        return form.validate_python(value)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "missing":
        raise ValueError(f"field {name!r} is missing")
    reason = _REASONS.get(problem["type"]) or problem["msg"].replace("Input should", "it should")
    raise ValueError(f"field {name!r} is {shown(problem['input'])}: {reason}")


_REASONS: Mapping[str, str] = {
    "dict_type": "it should be an object",
    "tuple_type": "it should be a list",
    "named_tuple_type": "it should be a list of counts",
}
"""pydantic's type of an error -> the reason in words of JSON, where pydantic's message names types of Python."""


def with_types(row: Mapping[str, object]) -> dict[str, object]:
    """Return a table's row with the types of JSON: without empty cells, and with numbers and lists that are texts."""
    given = {name: value for name, value in row.items() if value is not None and value != ""}
    metric = METRICS.get(str(given.get("metric")))
    for name in ("output_field", "is_multiple_choice"):
        value = given.get(name)
        if isinstance(value, str) and not (name == "output_field" and metric and metric.reference.fits(value)):
            with suppress(ValueError, RecursionError):
                given[name] = json.loads(value.lower() if name == "is_multiple_choice" else value)
    return given


def _question(value: Mapping[str, object]) -> QuestionRow:
    is_choice = value.get("task_type") == TaskType.MULTIPLE_CHOICE
    question = checked(_ROW, {"is_multiple_choice": is_choice, "track": UNKNOWN_TRACK, **value})
    _check_metric(question)
    follows = question.task_type is TaskType.MULTIPLE_CHOICE
    if question.is_multiple_choice is not follows:
        raise ValueError(
            f"field 'is_multiple_choice' is {json.dumps(not follows)}: for task_type {question.task_type} "
            f"write {json.dumps(follows)} or leave the field out"
        )
    return question


def _check_metric(question: QuestionRow) -> None:
    """Require a known metric that scores this task type, and a reference of the form that it needs."""
    name, task_type = question.metric, question.task_type
    if name not in METRICS:
        raise ValueError(f"field 'metric' is unknown: {name!r}; use one of {', '.join(METRICS)}")
    if task_type not in METRICS[name].task_types:
        fitting = ", ".join(known for known, metric in METRICS.items() if task_type in metric.task_types)
        raise ValueError(f"metric {name!r} cannot score a {task_type} answer: use one of {fitting}")
    reference = METRICS[name].reference
    if not reference.fits(question.output_field):
        value = shown(question.output_field)
        raise ValueError(f"field 'output_field' is {value}: metric {name!r} needs {reference.words}")


def _check_mixed_metrics(path: Path, questions: list[QuestionRow]) -> None:
    """Refuse a task that mixes F1 of summed counts with another metric: their scores have no common mean."""
    first: dict[str, str] = {}
    for question in questions:
        metric = first.setdefault(question.task_name, question.metric)
        if metric != question.metric and MICRO_F1 in (metric, question.metric):
            raise UserError(
                f"{path}: task {question.task_name!r} mixes the metrics {metric!r} and {question.metric!r}, "
                "which have no common mean: give its questions one metric or two task names"
            )
