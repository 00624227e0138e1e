"""The types that readers of training data share: their options, and the rows that they read, drop or find corrupt."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.questions import QuestionRow
from tuning.selection.question_text import Parts
from utilities.errors import UserError
from utilities.tables import Choose, rows_or_faults, shown
from utilities.task_type import TaskType

_LISTED = 20
YES_NO = ("yes", "no")
"""The options of a question that is answered by yes or no."""

Names = tuple[tuple[str, ...], ...]
"""Names of fields that identify a format; a file has one of each group."""


@dataclass(frozen=True)
class ReadingOptions:
    """Which rows a reader takes from a file, and how.

    Attributes:
        split: the part of a data set, for formats with parts.
        setting: the kind of instruction in ECInstruct, which holds each row once for every kind.
        locale: the shop's language and country, for formats with several.
        products: files with the titles of judged products.
        columns: the columns of star reviews by field, `text` and `stars`.
        seed: the seed for everything that a reader draws.
    """

    split: str = "train"
    setting: str = "IND_Diverse_Instruction"
    locale: str = "us"
    products: tuple[Path, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """A question with its reference as read from a file; `answer` may still be a letter or a text."""

    text: str
    answer: object
    task: str
    task_type: TaskType
    metric: str
    source: str


@dataclass(frozen=True)
class Dropped:
    """An intact row that is not used, and the reason."""

    task: str
    reason: str


@dataclass(frozen=True)
class Corrupt:
    """A damaged row, as one sentence with file, line and remedy."""

    message: str


@dataclass(frozen=True)
class Usable:
    """A question that can be trained on, and the words of its text."""

    question: QuestionRow
    source: str
    parts: Parts


Reading = Row | Dropped | Corrupt
Make = Callable[[str, dict[str, object]], Row | Dropped | None]


def stratum_name(question: QuestionRow) -> str:
    """Return the name of a task with its task type, for tasks that have several."""
    return f"{question.task_name} ({question.task_type})"


def text_field(fields: dict[str, object], name: str, place: str) -> str:
    """Return a text field of a row, or raise a `UserError` if it is missing or not a text."""
    if name not in fields:
        raise UserError(f"{place}: field {name!r} is missing: add it as a string")
    value = fields[name]
    if not isinstance(value, str):
        raise UserError(f"{place}: field {name!r} is {shown(value)}: make it a string")
    return value


class Filters:
    """Counts the values of fields by which rows are chosen, so that a filter that matches none is an error."""

    def __init__(self, path: Path, **wanted: str) -> None:
        self._path, self._wanted = path, wanted
        self._found: dict[str, Counter[str]] = {name: Counter() for name in wanted}

    def refusal(self, values: Mapping[str, str]) -> str:
        """Return the reason for which a row with these values is not used, empty if it is."""
        for name, value in values.items():
            self._found[name][value] += 1
        return next((f"another {name}" for name, value in values.items() if value != self._wanted[name]), "")

    def check(self) -> None:
        """Raise a `UserError` if no row had a wanted value; it lists the values that rows have."""
        for name, found in self._found.items():
            if found and self._wanted[name] not in found:
                problem = f"--{name}: no row of {self._path} has the {name} {self._wanted[name]!r}"
                raise UserError(f"{problem}: name one of {', '.join(sorted(found)[:_LISTED])}")
            if not found and self._wanted[name] != getattr(ReadingOptions, name):
                raise UserError(f"--{name}: the rows of {self._path} have no {name}: leave the option out")


def from_rows(path: Path, make: Make, choose: Choose = list) -> Iterator[Reading]:
    """Yield what `make` returns for each row of a file, unless it is None; a damaged row is `Corrupt`.

    Raises:
        UserError: the file cannot be read, is a table with a damaged row, or `choose` refuses its columns.
    """
    for found in rows_or_faults(path, choose):
        try:
            if isinstance(found, UserError):
                raise found
            reading: Reading | None = make(found.place, found.value)
        except UserError as error:
            reading = Corrupt(str(error))
        if reading:
            yield reading
