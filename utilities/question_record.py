"""What a run keeps of each question: the question itself, what its answer scored, and the batch that it came in.

The lines of questions.jsonl are questions in the evaluator's format with fields of their own beside, so that a run can
be looked into, and repeated, when the data that it was made of has changed.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from utilities.errors import UserError
from utilities.evaluation import Prediction
from utilities.files import write_text
from utilities.metrics import Counts, Score
from utilities.questions import Question, json_lines, read_questions
from utilities.traced_question import TracedQuestion, read_traced


@dataclass(frozen=True)
class QuestionRecord:
    """One question of a run.

    `scores` are those of the rows that the evaluator makes of it (`utilities.scores.join_answers`), one unless its text
    occurs more often; `own` is the score of its own answer. `batch` and `seconds`, an equal share of the batch's, are
    None where saved answers were scored.
    """

    question: Question
    scores: tuple[Score | None, ...]
    own: Score | None
    batch: int | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, object]:
        """Return the fields as they stand in a line of questions.jsonl."""
        beside = {"scores": self.scores, "score": self.own, "batch": self.batch, "seconds": self.seconds}
        return {**asdict(self.question), **beside}


def question_records(
    questions: Sequence[Question], rows: Sequence[Score | None], prediction: Prediction | None = None
) -> list[QuestionRecord]:
    """Give each question its rows' scores, and its batch where the answers were predicted just now."""
    batches = prediction.batch_of if prediction else ()
    records = []
    for index, (question, scores, own) in enumerate(_by_question(questions, rows)):
        batch = prediction.batches[batches[index]] if prediction else None
        seconds = batch.seconds / batch.questions if batch else None
        records.append(QuestionRecord(question, scores, own, batches[index] if batch else None, seconds))
    return records


def _by_question(
    questions: Sequence[Question], rows: Sequence[Score | None]
) -> Iterator[tuple[Question, tuple[Score | None, ...], Score | None]]:
    """Yield each question with its rows' scores and its own one; rows come as `join_answers` makes them."""
    counts = Counter(question.input_field for question in questions)
    before: dict[str, int] = defaultdict(int)
    at = 0
    for question in questions:
        text = question.input_field
        scores = tuple(rows[at : at + counts[text]])
        yield question, scores, scores[before[text]]
        before[text] += 1
        at += counts[text]


def write_questions(path: Path, records: Iterable[QuestionRecord]) -> None:
    """Write questions.jsonl."""
    write_json_lines(path, (record.to_json() for record in records))


def write_trace(path: Path, traced: Iterable[TracedQuestion]) -> None:
    """Write trace.jsonl, in the order of the questions."""
    write_json_lines(path, (each.to_json() for each in traced))


def write_json_lines(path: Path, values: Iterable[object]) -> None:
    """Write one value a line; half a surrogate pair, which UTF-8 lacks, is escaped with the rest of its line."""
    write_text(path, "".join(f"{_line(value)}\n" for value in values))


def _line(value: object) -> str:
    readable = json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if any("\ud800" <= character <= "\udfff" for character in readable) else readable


def read_question_records(path: Path) -> list[QuestionRecord]:
    """Read questions.jsonl.

    Raises:
        UserError: it cannot be read, or a line is no question with scores.
    """
    questions = read_questions(path)
    lines = [*json_lines(path)]
    return [_record(path, number, question, value) for question, (number, value) in zip(questions, lines, strict=True)]


def read_trace(path: Path, expected: int) -> list[TracedQuestion]:
    """Read trace.jsonl of a run of so many questions.

    Raises:
        UserError: it cannot be read, a line is of another form, or there are not as many as questions.
    """
    traced = []
    for number, value in json_lines(path):
        try:
            traced.append(read_traced(value))
        except ValueError as error:
            raise UserError(f"{path}, line {number}: {error}: run local_evaluation.py again") from None
    if len(traced) != expected:
        raise UserError(f"{path} holds {len(traced)} lines for {expected} questions: run local_evaluation.py again")
    return traced


def _record(path: Path, number: int, question: Question, value: Any) -> QuestionRecord:
    try:
        scores = tuple(_score(value, each) for each in _listed(value, "scores"))
        seconds = _optional(value, "seconds", int | float)
        batch = _optional(value, "batch", int)
        return QuestionRecord(question, scores, _score(value, value.get("score")), batch, seconds)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}: run local_evaluation.py again") from None


def _listed(value: Mapping[str, Any], name: str) -> list[Any]:
    listed = value.get(name)
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"field {name!r} is not a list of scores")
    return listed


def _score(value: Mapping[str, Any], score: object) -> Score | None:
    """Read a number, or the three counts of phrases."""
    if score is None:
        return None
    if isinstance(score, list) and len(score) == len(Counts._fields) and all(type(each) is int for each in score):
        return Counts(*score)
    if isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score):
        return float(score)
    raise ValueError(f"{score!r} of task {value['task_name']!r} is no score")


def _optional(value: Mapping[str, Any], name: str, kind: Any) -> Any:
    given = value.get(name)
    if given is not None and (not isinstance(given, kind) or isinstance(given, bool)):
        raise ValueError(f"field {name!r} is no number")
    return given
