"""The data that the page's script reads: an index at once, and blocks of whole questions on demand.

All of it is JSON. The index is plain and escaped, so that no text in it can end its element; blocks are compressed and
encoded in base64, which needs no escaping in HTML.
"""

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from typing import Any

from evaluation.metrics import Counts
from evaluation.report.runs import Run, share_of

QUESTIONS_A_BLOCK = 250
_LEVEL = 6
_EXCERPT = 160
_DIGITS = 5
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def escaped_json(value: object) -> str:
    """Return JSON for the inside of a script element: pure ASCII without `<`, `>` and `&`."""
    return json.dumps(value, separators=(",", ":")).translate(_ESCAPES)


def packed(value: object) -> str:
    """Return compressed JSON in base64; half a surrogate pair, which UTF-8 lacks, becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), _LEVEL, mtime=0)).decode("ascii")


class Numbers(dict[str, int]):
    """Numbers from 0 for strings that occur often; a new string gets the next one."""

    def __missing__(self, text: str) -> int:
        """Add a string."""
        return self.setdefault(text, len(self))


def index(runs: Sequence[Run]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the names that the page needs at once, and the columns that questions are filtered by."""
    names = {name: Numbers() for name in ("tasks", "types", "reasons")}
    names["reasons"][""] = 0  # which the script reads as no fallback
    questions = [record.question for record in runs[0].questions]
    columns = {
        "task": [names["tasks"][question.task_name] for question in questions],
        "type": [names["types"][question.task_type.value] for question in questions],
        "excerpt": [" ".join(question.input_field[: 4 * _EXCERPT].split())[:_EXCERPT] for question in questions],
        "runs": [_columns(run, names) for run in runs],
    }
    head = {name: list(numbers) for name, numbers in names.items()}
    described = {"runs": [run.name for run in runs], "traced": [run.trace is not None for run in runs]}
    return {**head, **described, "questions": len(questions), "block": QUESTIONS_A_BLOCK}, columns


def _columns(run: Run, names: dict[str, Numbers]) -> dict[str, list[Any]]:
    trace = run.trace or ()
    return {
        "score": [_rounded(share_of(record.own)) for record in run.questions],
        "detected": [names["types"][traced.task_type] for traced in trace],
        "reason": [names["reasons"][traced.fallback] for traced in trace],
    }


def blocks(runs: Sequence[Run], roles: Numbers) -> Iterator[list[dict[str, Any]]]:
    """Yield the questions in blocks; system prompts are added to `roles`."""
    numbers = range(len(runs[0].questions))
    for start in numbers[::QUESTIONS_A_BLOCK]:
        yield [_question(runs, number, roles) for number in numbers[start : start + QUESTIONS_A_BLOCK]]


def _question(runs: Sequence[Run], number: int, roles: Numbers) -> dict[str, Any]:
    question = runs[0].questions[number].question
    return {
        "text": question.input_field,
        "truth": question.output_field,
        "metric": question.metric,
        "track": question.track,
        "runs": [_of_run(run, number, roles) for run in runs],
    }


def _of_run(run: Run, number: int, roles: Numbers) -> dict[str, Any]:
    record = run.questions[number]
    counts = list(record.own) if isinstance(record.own, Counts) else None
    found = {"answer": run.answers[number], "seconds": _rounded(record.seconds), "counts": counts}
    if run.trace is None:
        return found
    traced = run.trace[number]
    return found | {
        "role": roles[traced.system],
        "user": inserted(record.question.input_field, traced.user),
        "bare": inserted(record.question.input_field, traced.bare),
        "cue": traced.cue,
        "statement": traced.as_statement,
        "way": traced.way,
        "labels": traced.labels,
        "texts": traced.texts,
        "evidence": {name: list(map(_rounded, scores)) for name, scores in traced.evidence.items()},
        "model": list(map(_rounded, traced.model_scores)),
        "scores": list(map(_rounded, traced.scores)),
        "written": traced.written,
        "tokens": [_rounded(traced.tokens_read), _rounded(traced.tokens_written)],
    }


def inserted(text: str, changed: str) -> list[Any]:
    """Return the lengths of the common prefix and suffix in UTF-16 units, and the part of `changed` between them."""
    begin = _shared(text, changed)
    most = min(len(text), len(changed)) - begin
    end = _shared(text[::-1][:most], changed[::-1][:most])
    return [_units(text[:begin]), _units(text[len(text) - end :]), changed[begin : len(changed) - end]]


def _shared(one: str, other: str) -> int:
    """Return the length of the common prefix."""
    if one == other:
        return len(one)
    differing = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
