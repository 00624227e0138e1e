"""What the page's script reads: a small index at once, and blocks of whole questions as they are wanted.

Everything is JSON. The index is plain, escaped so that no text in it can end its element; blocks are compressed and
written in base64, which has no letter that HTML minds.
"""

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from typing import Any

from evaluation.metrics import Counts, Score
from evaluation.report.runs import Run, share_of

QUESTIONS_A_BLOCK = 250
_LEVEL = 6
_EXCERPT = 160
_DIGITS = 5
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def escaped_json(value: object) -> str:
    """Return JSON for the inside of a script element: pure ASCII without `<`, `>` and `&`."""
    text = json.dumps(value, separators=(",", ":"))
    for character, escape in _ESCAPED.items():
        text = text.replace(character, escape)
    return text


def packed(value: object) -> str:
    """Return JSON, compressed, in base64; half a surrogate pair, which UTF-8 lacks, becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), _LEVEL, mtime=0)).decode("ascii")


class Numbered:
    """Strings that occur often, each told by its number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return a string's number, a new one for a new string."""
        return self._numbers.setdefault(text, len(self._numbers))

    def texts(self) -> list[str]:
        """Return all strings in the order of their numbers."""
        return list(self._numbers)


def index(runs: Sequence[Run]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the names that the page needs at once, and a column for each thing that questions are filtered by."""
    names = {name: Numbered() for name in ("tasks", "types", "reasons")}
    names["reasons"].number("")
    questions = [record.question for record in runs[0].questions]
    columns = {
        "task": [names["tasks"].number(question.task_name) for question in questions],
        "type": [names["types"].number(question.task_type.value) for question in questions],
        "excerpt": [" ".join(question.input_field[: 4 * _EXCERPT].split())[:_EXCERPT] for question in questions],
        "runs": [_columns(run, names) for run in runs],
    }
    head = {name: numbered.texts() for name, numbered in names.items()}
    described = {"runs": [run.name for run in runs], "traced": [run.trace is not None for run in runs]}
    return {**head, **described, "questions": len(questions), "block": QUESTIONS_A_BLOCK}, columns


def _columns(run: Run, names: dict[str, Numbered]) -> dict[str, list[Any]]:
    trace = run.trace or ()
    return {
        "score": [_rounded(share_of(record.own)) for record in run.questions],
        "detected": [names["types"].number(traced.task_type) for traced in trace],
        "reason": [names["reasons"].number(traced.fallback) for traced in trace],
    }


def blocks(runs: Sequence[Run], roles: Numbered) -> Iterator[list[dict[str, Any]]]:
    """Yield the questions in blocks; `roles` takes in the roles that models were given."""
    count = len(runs[0].questions)
    for start in range(0, count, QUESTIONS_A_BLOCK):
        yield [_question(runs, number, roles) for number in range(start, min(start + QUESTIONS_A_BLOCK, count))]


def _question(runs: Sequence[Run], number: int, roles: Numbered) -> dict[str, Any]:
    question = runs[0].questions[number].question
    return {
        "text": question.input_field,
        "truth": question.output_field,
        "metric": question.metric,
        "track": question.track,
        "runs": [_of_run(run, number, roles) for run in runs],
    }


def _of_run(run: Run, number: int, roles: Numbered) -> dict[str, Any]:
    record = run.questions[number]
    found = {"answer": run.answers[number], "seconds": _rounded(record.seconds), "counts": _counts(record.own)}
    if run.trace is None:
        return found
    traced = run.trace[number]
    return found | {
        "role": roles.number(traced.system),
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
    """Return how much of `text` begins and ends `changed`, in UTF-16 units, and what stands between: most is shared."""
    begin = _shared(text, changed)
    most = min(len(text), len(changed)) - begin
    end = _shared(text[::-1][:most], changed[::-1][:most])
    return [_units(text[:begin]), _units(text[len(text) - end :]), changed[begin : len(changed) - end]]


def _shared(one: str, other: str) -> int:
    """Return the length of the beginning that both share."""
    if one == other:
        return len(one)
    differing = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _counts(score: Score | None) -> list[int] | None:
    return list(score) if isinstance(score, Counts) else None
