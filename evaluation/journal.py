"""The journal of a run: every batch is saved when it is answered, so that a killed run continues with the next one.

The first line is the run's key: data, questions, code, settings and weights. Each further line is an answered batch.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from models.traced_question import Amount, TracedQuestion
from utilities.files import write_text

Totals = Mapping[str, Mapping[str, float]]
"""The name of a count, such as "fallbacks", to its numbers by reason."""
_SUMMED = ("_tokens", "_seconds", "_steps", "_texts")


@dataclass(frozen=True)
class AnsweredBatch:
    """A batch of a run.

    Attributes:
        indices: the numbers of its questions in the data.
        answers: one for each question.
        seconds: the time that `batch_predict` took.
        traced: one for each question; empty if the model keeps no trace.
        counted: the numbers by which the batch raised the model's totals.
    """

    indices: tuple[int, ...]
    answers: tuple[str, ...]
    seconds: Amount
    traced: tuple[TracedQuestion, ...] = ()
    counted: Mapping[str, Mapping[str, int | float]] = field(default_factory=dict)


_BATCH = TypeAdapter(AnsweredBatch)


class Journal:
    """The batches of one run, in the order of asking, in a file that grows with them.

    Attributes:
        note: a sentence about the file that was found; empty if there was none.
    """

    def __init__(self, path: Path, key: Mapping[str, object]) -> None:
        """Continue the journal in `path` if it has this key, else begin a new one."""
        self._path = path
        self._key = json.dumps(key, sort_keys=True, default=str)
        self._found, self.note = self._read()
        write_text(path, "\n".join([self._key, *map(_line, self._found)]) + "\n")

    def answered(self, indices: Sequence[int]) -> AnsweredBatch | None:
        """Return the batch of these questions if an earlier process answered it, in the order of asking."""
        if self._found and self._found[0].indices == tuple(indices):
            return self._found.pop(0)
        self._found.clear()
        return None

    def add(self, batch: AnsweredBatch) -> None:
        """Append a batch, and wait until it is on the disk."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(batch) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Remove the file of a run that is complete."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[list[AnsweredBatch], str]:
        if not self._path.is_file():
            return [], ""
        key, *lines = self._path.read_text(encoding="utf-8", errors="replace").split("\n")
        if key != self._key:
            return [], f"{self._path} is of another run ({_difference(key, self._key)}): every question is asked anew"
        batches = _whole(lines)
        questions = sum(len(batch.indices) for batch in batches)
        return batches, f"{self._path}: {questions} questions were answered before the run was ended; it continues"


def _line(batch: AnsweredBatch) -> str:
    return json.dumps(asdict(batch))


def _whole(lines: Sequence[str]) -> list[AnsweredBatch]:
    """Return the batches up to the first damaged line, which a killed process leaves half written."""
    batches = []
    for line in lines:
        try:
            # pydantic's own reader of JSON refuses half surrogate pairs, which prompts may contain.
            batches.append(_BATCH.validate_python(json.loads(line)))
        except (ValueError, ValidationError):
            break
    return batches


def _difference(before: str, now: str) -> str:
    """Return the first name whose values differ, with both values."""
    try:
        first, second = _flat(json.loads(before)), _flat(json.loads(now))
    except ValueError:
        return "its first line is damaged"
    names = (name for name in sorted({*first, *second}) if first.get(name) != second.get(name))
    name = next(names, "")
    return f"{name} was {first.get(name)!r} and is {second.get(name)!r}" if name else "its first line was changed"


def _flat(value: Any, name: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {name: value}
    inner = [_flat(each, f"{name}.{key}".lstrip(".")) for key, each in value.items()]
    return {key: each for part in inner for key, each in part.items()}


def totals_of(model: object, description: Mapping[str, object]) -> dict[str, Counter[str]]:
    """Return a model's running totals: fallbacks and events by reason, and tokens, steps and seconds of its speed."""
    speed = description.get("speed")
    given = {name: getattr(model, name, None) for name in ("fallbacks", "events")}
    given["speed"] = {k: v for k, v in speed.items() if k.endswith(_SUMMED)} if isinstance(speed, Mapping) else None
    return {name: Counter(counts) for name, counts in given.items() if counts is not None}


def risen(before: Totals, now: Totals) -> dict[str, dict[str, float]]:
    """Return the numbers by which totals rose; those of a new engine process begin at 0."""
    return {name: _risen(before.get(name, {}), counts) for name, counts in now.items()}


def _risen(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    rises = {key: count - before.get(key, 0) for key, count in now.items()}
    return {key: now[key] if rise < 0 else rise for key, rise in rises.items() if rise}


def summed(batches: Sequence[AnsweredBatch]) -> dict[str, Counter[str]]:
    """Return the sums of the batches' counts."""
    sums: dict[str, Counter[str]] = {}
    for batch in batches:
        for name, counts in batch.counted.items():
            sums.setdefault(name, Counter()).update(counts)
    return sums
