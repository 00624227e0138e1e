"""The files of a run with a line for each question: answers.jsonl, questions.jsonl and trace.jsonl.

A line of questions.jsonl is a question in the evaluator's format with more fields: its score, batch and seconds. A run
can therefore be inspected and repeated after its data file has changed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from evaluation.loop import Prediction
from evaluation.metrics import MICRO_F1, Count, Counts, Score
from evaluation.questions import QuestionRow, checked, read_questions
from models.traced_question import Amount, Number, TracedQuestion
from utilities.errors import UserError
from utilities.files import write_json_lines
from utilities.tables import naming, read_rows

S = TypeVar("S")
AGAIN = ": run local_evaluation.py again"
"""The remedy for a damaged file of a run."""


@dataclass(frozen=True)
class QuestionRecord:
    """One question of a run.

    `scores` are those of the question's rows (`evaluation.scores.join_answers`), one unless its text occurs again;
    `own` is the score of its own answer. `batch` and `seconds`, an equal share of the batch's, are None for saved
    answers.
    """

    question: QuestionRow
    scores: tuple[Score | None, ...]
    own: Score | None
    batch: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class _Scored(Generic[S]):
    """The fields that questions.jsonl adds to a question; `S` is the metric's type of score."""

    scores: tuple[S | None, ...]
    score: S | None
    batch: Count | None = None
    seconds: Amount | None = None


_COUNTED: TypeAdapter[_Scored[Any]] = TypeAdapter(_Scored[Counts])
_PLAIN: TypeAdapter[_Scored[Any]] = TypeAdapter(_Scored[Number])
_TRACED = TypeAdapter(TracedQuestion)


def question_records(
    questions: Sequence[QuestionRow], rows: Sequence[Score | None], prediction: Prediction | None = None
) -> list[QuestionRecord]:
    """Give each question the scores of its rows, in the order of `join_answers`, and its batch if it was predicted."""
    counts = Counter(question.input_field for question in questions)
    batches: Sequence[int | None] = prediction.batch_of if prediction else [None] * len(questions)
    seen: Counter[str] = Counter()
    records: list[QuestionRecord] = []
    left = iter(rows)
    for question, batch in zip(questions, batches, strict=True):
        text = question.input_field
        scores = tuple(islice(left, counts[text]))
        seconds = prediction.batches[batch].per_question if prediction and batch is not None else None
        records.append(QuestionRecord(question, scores, scores[seen[text]], batch, seconds))
        seen[text] += 1
    return records


def write_questions(path: Path, records: Iterable[QuestionRecord]) -> None:
    """Write questions.jsonl."""
    write_json_lines(path, map(_fields, records))


def _fields(record: QuestionRecord) -> dict[str, object]:
    added = {"scores": record.scores, "score": record.own, "batch": record.batch, "seconds": record.seconds}
    return {**asdict(record.question), **added}


def write_trace(path: Path, traced: Iterable[TracedQuestion]) -> None:
    """Write trace.jsonl, in the order of the questions."""
    write_json_lines(path, map(asdict, traced))


def read_answers(path: Path) -> list[str]:
    """Read answers.jsonl or other saved answers, or raise a `UserError` if a line is not a JSON string."""
    answers = []
    for place, value, *_ in read_rows(path, is_object=False):
        if not isinstance(value, str):
            raise UserError(f"{place}: not a JSON string: write one answer a line, in double quotes")
        answers.append(value)
    return answers


def read_question_records(path: Path) -> list[QuestionRecord]:
    """Read questions.jsonl, or raise a `UserError` if a line is not a question with scores."""
    questions = read_questions(path)
    rows = Counter(question.input_field for question in questions)
    records = []
    for question, (place, value, *_) in zip(questions, read_rows(path, is_object=False), strict=True):
        with naming(place, AGAIN):
            records.append(_record(question, value, rows[question.input_field]))
    return records


def _record(question: QuestionRow, value: object, rows: int) -> QuestionRecord:
    read = checked(_COUNTED if question.metric == MICRO_F1 else _PLAIN, value)
    if len(read.scores) != rows:
        raise ValueError(
            f"field 'scores' holds {len(read.scores)} scores instead of {rows}, one for each question of this text"
        )
    if read.score not in read.scores:
        raise ValueError("field 'score' is not in field 'scores'")
    return QuestionRecord(question, read.scores, read.score, read.batch, read.seconds)


def read_trace(path: Path, expected: int) -> list[TracedQuestion]:
    """Read trace.jsonl of a run of `expected` questions.

    Raises:
        UserError: it cannot be read, a field is missing or does not fit, or the number of lines is another.
    """
    traced = []
    for place, value, *_ in read_rows(path, is_object=False):
        with naming(place, AGAIN):
            traced.append(_traced(value))
    if len(traced) != expected:
        raise UserError(f"{path} holds {len(traced)} lines for {expected} questions{AGAIN}")
    return traced


def _traced(value: object) -> TracedQuestion:
    """Require one number and one text a label, unless there are none."""
    traced = checked(_TRACED, value)
    lists = {"texts": traced.texts, "model_scores": traced.model_scores, "scores": traced.scores, **traced.evidence}
    for name, items in lists.items():
        if items and len(items) != len(traced.labels):
            raise ValueError(f"field {name!r} holds {len(items)} items for {len(traced.labels)} labels")
    return traced
