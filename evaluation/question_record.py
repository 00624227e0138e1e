"""What a run keeps of each question: the question itself, what its answer scored, and the batch that it came in.

The lines of questions.jsonl are questions in the evaluator's format with fields of their own beside, so that a run can
be looked into, and repeated, when the data that it was made of has changed.
"""

import json
import reprlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evaluation.loop import Prediction
from evaluation.metrics import MICRO_F1, Counts, Score
from evaluation.questions import QuestionRow, json_lines, read_questions
from models.traced_question import TracedQuestion, is_number, read_traced
from utilities.errors import UserError
from utilities.files import write_text


@dataclass(frozen=True)
class QuestionRecord:
    """One question of a run.

    `scores` are those of the rows that the evaluator makes of it (`evaluation.scores.join_answers`), one unless its
    text occurs more often; `own` is the score of its own answer. `batch` and `seconds`, an equal share of the batch's,
    are None where saved answers were scored.
    """

    question: QuestionRow
    scores: tuple[Score | None, ...]
    own: Score | None
    batch: int | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, object]:
        """Return the fields as they stand in a line of questions.jsonl."""
        beside = {"scores": self.scores, "score": self.own, "batch": self.batch, "seconds": self.seconds}
        return {**asdict(self.question), **beside}


def question_records(
    questions: Sequence[QuestionRow], rows: Sequence[Score | None], prediction: Prediction | None = None
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
    questions: Sequence[QuestionRow], rows: Sequence[Score | None]
) -> Iterator[tuple[QuestionRow, tuple[Score | None, ...], Score | None]]:
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
    rows = Counter(question.input_field for question in questions)
    lines = zip(questions, json_lines(path), strict=True)
    return [_record(path, number, each, value, rows[each.input_field]) for each, (number, value) in lines]


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


def _record(path: Path, number: int, question: QuestionRow, value: Any, rows: int) -> QuestionRecord:
    try:
        scores = tuple(_score(question.metric, each) for each in _listed(value, rows))
        own = _score(question.metric, value.get("score"))
        if own not in scores:
            raise ValueError("field 'score' is none of field 'scores'")
        batch = _optional(value, "batch", lambda given: type(given) is int)
        seconds = _optional(value, "seconds", lambda given: is_number(given) and given >= 0)
        return QuestionRecord(question, scores, own, batch, seconds)
    except ValueError as error:
        raise UserError(f"{path}, line {number}: {error}: run local_evaluation.py again") from None


def _listed(value: Mapping[str, Any], rows: int) -> list[Any]:
    listed = value.get("scores")
    if not isinstance(listed, list) or len(listed) != rows:
        raise ValueError(f"field 'scores' is not a list with as many scores as questions have this text, {rows}")
    return listed


def _score(metric: str, score: object) -> Score | None:
    """Read a number, or the three counts of phrases where the metric counts them."""
    if score is None:
        return None
    if metric != MICRO_F1 and is_number(score):
        return float(score)
    if (
        metric == MICRO_F1
        and isinstance(score, list)
        and len(score) == len(Counts._fields)
        and all(map(_counts, score))
    ):
        return Counts(*score)
    raise ValueError(f"{reprlib.repr(score)} is no score by the metric {metric!r}")


def _counts(value: object) -> bool:
    return type(value) is int and is_number(value) and value >= 0


def _optional(value: Mapping[str, Any], name: str, fits: Callable[[object], bool]) -> Any:
    given = value.get(name)
    if given is not None and not fits(given):
        raise ValueError(f"field {name!r} is {reprlib.repr(given)}, which is no number for it")
    return given
