"""What the readers of training data yield: rows, and why something is none."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from evaluation.questions import QuestionRow
from tuning.selection.parts import Parts
from utilities.errors import UserError
from utilities.task_type import TaskType


@dataclass(frozen=True)
class Row:
    """A question with its reference as a file gives it; `answer` may still name options by letters or as text."""

    place: str
    text: str
    answer: object
    task: str
    task_type: TaskType
    metric: str
    source: str


@dataclass(frozen=True)
class Dropped:
    """A sound row that is not used, and why."""

    task: str
    reason: str


@dataclass(frozen=True)
class Corrupt:
    """A damaged row: one sentence that names file, line and remedy."""

    message: str


@dataclass(frozen=True)
class Usable:
    """A question that can be trained on, and what its text is made of."""

    question: QuestionRow
    source: str
    parts: Parts


Reading = Row | Dropped | Corrupt


def stratum_name(question: QuestionRow) -> str:
    """Return what tells a task of several task types apart."""
    return f"{question.task_name} ({question.task_type})"


def text_field(fields: dict[str, object], name: str, place: str) -> str:
    """Return a text field of a row.

    Raises:
        UserError: the field is missing or no text.
    """
    if name not in fields:
        raise UserError(f"{place}: field {name!r} is missing: add it as a string")
    value = fields[name]
    if not isinstance(value, str):
        raise UserError(f"{place}: field {name!r} is {str(value)[:40]!r}: make it a string")
    return value


def from_records(
    records: Iterator[tuple[str, dict[str, object]] | Corrupt],
    make: Callable[[str, dict[str, object]], Row | Dropped],
) -> Iterator[Reading]:
    """Make a row of each record; a record that cannot be one is corrupt."""
    for record in records:
        if isinstance(record, Corrupt):
            yield record
            continue
        try:
            yield make(*record)
        except UserError as error:
            yield Corrupt(str(error))
