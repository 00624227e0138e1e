"""ShopBench's own fields, as EC-Guide has them too: JSON Lines or one JSON array."""

from collections.abc import Iterator, Set
from pathlib import Path

from evaluation.metrics import METRICS
from tuning.selection.json_files import json_objects
from tuning.selection.options import ReadingOptions
from tuning.selection.rows import Dropped, Reading, Row, from_records, text_field
from utilities.errors import UserError
from utilities.task_type import TaskType

NAME = "shopbench"
WORDS = (
    "input_field, output_field, task_type, metric, task_name or task: ShopBench and EC-Guide, JSON Lines or an array"
)


def recognises(fields: Set[str]) -> bool:
    """Tell from the names of a file's fields whether it is of this format."""
    return {"input_field", "output_field", "task_type"} <= fields


def read(path: Path, _options: ReadingOptions) -> Iterator[Reading]:
    """Yield the rows of a file; a row without a task's name is called by the file's.

    Raises:
        UserError: the file cannot be read.
    """
    return from_records(json_objects(path), lambda place, fields: _row(path, place, fields))


def _row(path: Path, place: str, fields: dict[str, object]) -> Row | Dropped:
    if "output_field" not in fields:
        raise UserError(f"{place}: field 'output_field' is missing: add the right answer")
    task_type = _task_type(text_field(fields, "task_type", place), place)
    name = next((name for name in ("task_name", "task") if name in fields), "")
    task = text_field(fields, name, place) if name else path.stem
    metric = text_field(fields, "metric", place)
    if metric not in METRICS:
        return Dropped(task, f"metric {metric!r} is none of the evaluator's")
    source = fields.get("source")
    return Row(
        place=place,
        text=text_field(fields, "input_field", place),
        answer=fields["output_field"],
        task=task,
        task_type=task_type,
        metric=metric,
        source=source if isinstance(source, str) and source else path.stem,
    )


def _task_type(name: str, place: str) -> TaskType:
    folded = name.strip().lower()
    for task_type in TaskType:
        if folded.replace("-", "_").replace(" ", "_") == task_type.replace("-", "_"):
            return task_type
    raise UserError(f"{place}: field 'task_type' is unknown: {name!r}; use one of {', '.join(TaskType)}")
