"""ShopBench's own fields, which EC-Guide shares: JSON Lines or one JSON array."""

from collections.abc import Iterator
from pathlib import Path

from evaluation.metrics import METRICS
from tuning.selection.rows import YES_NO, Dropped, Names, Reading, ReadingOptions, Row, from_rows, text_field
from utilities.errors import UserError
from utilities.task_type import TaskType

WORDS = (
    "input_field, output_field, task_type, metric, task_name or task: ShopBench and EC-Guide, JSON Lines or an array"
)
_YES_OR_NO = "bool"
"""EC-Guide's metric of questions whose answer is yes or no."""
FIELDS: Names = (("input_field",), ("output_field",), ("task_type",))


def read(path: Path, _options: ReadingOptions) -> Iterator[Reading]:
    """Yield the rows of a file; a row without a task's name gets the name of the file."""
    return from_rows(path, lambda place, fields: _row(path, place, fields))


def _row(path: Path, place: str, fields: dict[str, object]) -> Row | Dropped:
    if "output_field" not in fields:
        raise UserError(f"{place}: field 'output_field' is missing: add the right answer")
    task_type = _task_type(text_field(fields, "task_type", place), place)
    name = next((name for name in ("task_name", "task") if name in fields), "")
    task = text_field(fields, name, place) if name else path.stem
    metric = text_field(fields, "metric", place)
    text, answer = text_field(fields, "input_field", place), fields["output_field"]
    if metric == _YES_OR_NO:
        if (said := str(answer).strip().lower()) not in YES_NO:
            return Dropped(task, "answer is neither yes nor no")
        text, answer, metric = _with_options(text), YES_NO.index(said), "accuracy"
    if metric not in METRICS:
        return Dropped(task, f"metric {metric!r} is not one of the evaluator's")
    source = fields.get("source")
    named = source if source and isinstance(source, str) else path.stem
    return Row(text, answer, task, task_type, metric, named)


def _with_options(text: str) -> str:
    """Return a question with numbered options before its last line, if that begins the answer."""
    before, newline, last = text.rstrip().rpartition("\n")
    asked, end = (before.rstrip(), last.strip()) if newline and last.endswith(":") else (text.rstrip(), "Answer:")
    return "\n".join((asked, *(f"{number}. {each}" for number, each in enumerate(YES_NO)), end))


def _task_type(name: str, place: str) -> TaskType:
    folded = name.strip().lower()
    for task_type in TaskType:
        if folded.replace("-", "_").replace(" ", "_") == task_type.replace("-", "_"):
            return task_type
    raise UserError(f"{place}: field 'task_type' is unknown: {name!r}; use one of {', '.join(TaskType)}")
