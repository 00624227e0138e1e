"""The scores.json of a run: every field that the page shows is of its form before anything is made of it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evaluation.reference_shapes import TEXT, Shape
from models.traced_question import is_number
from utilities.errors import UserError

_AGAIN = "run local_evaluation.py again"
_DEEPEST = 50


def _is_amount(value: object) -> bool:
    return value is None or (is_number(value) and value >= 0)


def _is_count(value: object) -> bool:
    return type(value) is int and _is_amount(value)


_OBJECT = Shape("an object", lambda value: isinstance(value, dict))
_PERHAPS_OBJECT = Shape("an object or null", lambda value: isinstance(value, dict | None))
_AMOUNT = Shape("a number from 0, or null", _is_amount)
_COUNT = Shape("a whole number from 0", _is_count)
_PATH = Shape("the path of a file", lambda value: isinstance(value, str) and "\0" not in value)

_RECORD = dict.fromkeys(("tasks", "task_types", "tracks", "seconds", "data", "versions"), _OBJECT) | {
    "fallbacks": _PERHAPS_OBJECT
}
_TASK = {"score": _AMOUNT, "metric": TEXT, "task_type": TEXT}
_SECONDS = dict.fromkeys(("load", "predict", "per_question"), _AMOUNT)
_DATA = {"path": _PATH, "sha256": TEXT, "questions": _COUNT}
_FALLBACKS = {"total": _COUNT, "reasons": _OBJECT}


def read_scores(path: Path) -> Mapping[str, Any]:
    """Read a scores.json; fields that the page only prints may be missing.

    Raises:
        UserError: it cannot be read, a field is missing or of another form, or a number is not finite.
    """
    record = _read(path)
    try:
        _check(record)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    return record


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path} does not exist: name a folder that local_evaluation.py wrote") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is no record of a run ({type(error).__name__}: {error}): {_AGAIN}") from None
    if not isinstance(record, dict):
        raise UserError(f"{path} is no record of a run (no JSON object): {_AGAIN}")
    return record


def _check(record: Mapping[str, Any]) -> None:
    """Raise a ValueError that names the first field that is not as it should be."""
    _require(record, _RECORD)
    _require(record["seconds"], _SECONDS, "seconds")
    _require(record["data"], _DATA, "data")
    _require(record["versions"], dict.fromkeys(record["versions"], TEXT), "versions")
    _require(record["tasks"], dict.fromkeys(record["tasks"], _OBJECT), "tasks")
    for name, task in record["tasks"].items():
        _require(task, _TASK | ({"not_scored": TEXT} if "not_scored" in task else {}), "tasks", name)
    if (fallbacks := record["fallbacks"]) is not None:
        _require(fallbacks, _FALLBACKS, "fallbacks")
        _require(fallbacks["reasons"], dict.fromkeys(fallbacks["reasons"], _COUNT), "fallbacks", "reasons")
    for where, value in _leaves(record):
        if isinstance(value, float) and not is_number(value):
            raise ValueError(
                f"field {'.'.join(where)!r} is {value}, no finite number: "
                "mend what it was read from, such as a setting, and run local_evaluation.py again"
            )


def _require(holder: Mapping[str, Any], shapes: Mapping[str, Shape], *where: str) -> None:
    for name, shape in shapes.items():
        field = ".".join((*where, name))
        if name not in holder:
            raise ValueError(f"field {field!r} is missing: {_AGAIN}")
        if not shape.fits(holder[name]):
            raise ValueError(f"field {field!r} is not {shape.words}: {_AGAIN}")


def _leaves(record: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield the names that lead to each value that holds no others, without recursion: a file may nest deeply."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), record)]
    while waiting:
        where, value = waiting.pop()
        if len(where) > _DEEPEST:
            raise ValueError(f"field {'.'.join(where[:3])!r} nests more than {_DEEPEST} deep: {_AGAIN}")
        if isinstance(value, dict):
            waiting += (((*where, name), each) for name, each in value.items())
        elif isinstance(value, list):
            waiting += (((*where, str(number)), each) for number, each in enumerate(value))
        else:
            yield where, value
