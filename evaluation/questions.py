"""Reading questions in the evaluator's format: JSON Lines in UTF-8, one question a line."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from evaluation.metrics import METRICS, MICRO_F1
from utilities.errors import UserError
from utilities.task_type import TaskType

UNKNOWN_TRACK = "unknown"


@dataclass(frozen=True)
class QuestionRow:
    """One question; `output_field` is its reference, in the form that `metric` compares with."""

    input_field: str
    output_field: object
    task_name: str
    task_type: TaskType
    metric: str
    is_multiple_choice: bool
    track: str


def read_questions(path: Path) -> list[QuestionRow]:
    """Read every question of the file; blank lines are skipped, fields of other names ignored.

    `track` and `is_multiple_choice` may be missing, and `task` may stand for `task_name`.

    Raises:
        UserError: the file cannot be read, holds no question, or a line is no question that can be scored.
    """
    questions = [_question(path, number, value) for number, value in json_lines(path)]
    if not questions:
        raise UserError(f"{path} holds no question: put one JSON object a line into it")
    _check_mixed_metrics(path, questions)
    return questions


def json_lines(path: Path) -> Iterator[tuple[int, object]]:
    """Yield line number (from 1) and value of each line that is not blank.

    Raises:
        UserError: the file cannot be read, is not UTF-8, or a line is not JSON.
    """
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            problem = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise UserError(f"{path}, line {number}: not JSON ({problem}): {_json_remedy(line)}") from None


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: name an existing JSON Lines file") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a readable JSON Lines file") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}, line {number}: not UTF-8 text: save the file in UTF-8") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _json_remedy(line: str) -> str:
    if line.lstrip().startswith("["):
        return "this looks like a JSON array; write JSON Lines, one whole object a line, without [ and ]"
    return "write one whole JSON value on each line"


def _question(path: Path, number: int, value: object) -> QuestionRow:
    try:
        return _checked(value)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}") from None


def _checked(value: object) -> QuestionRow:
    if isinstance(value, list):
        raise ValueError("a JSON array instead of an object: write JSON Lines, one object a line, without [ and ]")
    if not isinstance(value, dict):
        raise ValueError("no JSON object: write the fields of one question as {...}")
    task_type = _task_type(value)
    return QuestionRow(
        input_field=_string(value, "input_field"),
        output_field=_reference(value, task_type),
        task_name=_string(value, "task_name" if "task_name" in value else "task"),
        task_type=task_type,
        metric=value["metric"],
        is_multiple_choice=_is_multiple_choice(value, task_type),
        track=_string(value, "track") if "track" in value else UNKNOWN_TRACK,
    )


def _string(fields: Mapping[str, object], name: str) -> str:
    if name not in fields:
        named = "task_name" if name == "task" else name
        raise ValueError(f"field {named!r} is missing: add it as a string")
    text = fields[name]
    if not isinstance(text, str):
        raise ValueError(f"field {name!r} is {_shown(text)}: make it a string")
    return text


def _task_type(fields: Mapping[str, object]) -> TaskType:
    name = _string(fields, "task_type")
    if name not in set(TaskType):
        raise ValueError(f"field 'task_type' is unknown: {name!r}; use one of {', '.join(TaskType)}")
    return TaskType(name)


def _reference(fields: Mapping[str, object], task_type: TaskType) -> object:
    name = _string(fields, "metric")
    if name not in METRICS:
        raise ValueError(f"field 'metric' is unknown: {name!r}; use one of {', '.join(METRICS)}")
    if task_type not in METRICS[name].task_types:
        fitting = ", ".join(known for known, metric in METRICS.items() if task_type in metric.task_types)
        raise ValueError(f"metric {name!r} cannot score a {task_type} answer: use one of {fitting}")
    if "output_field" not in fields:
        raise ValueError("field 'output_field' is missing: add the right answer")
    reference, shape = fields["output_field"], METRICS[name].reference
    if not shape.fits(reference):
        raise ValueError(f"field 'output_field' is {_shown(reference)}: metric {name!r} needs {shape.words}")
    return reference


def _is_multiple_choice(fields: Mapping[str, object], task_type: TaskType) -> bool:
    follows = task_type is TaskType.MULTIPLE_CHOICE
    given = fields.get("is_multiple_choice", follows)
    if given is not follows:
        raise ValueError(
            f"field 'is_multiple_choice' is {_shown(given)}: for task_type {task_type} "
            f"write {json.dumps(follows)} or leave the field out"
        )
    return follows


def _check_mixed_metrics(path: Path, questions: list[QuestionRow]) -> None:
    """Refuse a task whose counts for F1 would have to be averaged with scores of another metric."""
    first: dict[str, str] = {}
    for question in questions:
        metric = first.setdefault(question.task_name, question.metric)
        if metric != question.metric and MICRO_F1 in (metric, question.metric):
            raise UserError(
                f"{path}: task {question.task_name!r} mixes the metrics {metric!r} and {question.metric!r}, "
                "which have no common mean: give its questions one metric or two task names"
            )


def _shown(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
