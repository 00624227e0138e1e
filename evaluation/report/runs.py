"""Reads runs: folders that local_evaluation.py wrote, and checks that their files are whole and belong together."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NotRequired, cast

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from evaluation.intervals import score_of
from evaluation.metrics import Count, Counts, Score
from evaluation.question_record import (
    AGAIN,
    QuestionRecord,
    question_records,
    read_answers,
    read_question_records,
    read_trace,
)
from evaluation.questions import QuestionRow, checked, read_questions
from evaluation.scores import score_answers
from models.traced_question import LARGEST, Amount, TracedQuestion
from utilities.errors import UserError
from utilities.fingerprint import sha256
from utilities.json_files import read_object

MOST_RUNS = 6
"""The number of colours and marks that a page has for runs."""
_SAME = 1e-9
_DEEPEST = 50


@dataclass(frozen=True)
class Run:
    """One run; `record` is its scores.json, `trace` is None for a run that kept none."""

    name: str
    folder: Path
    record: Mapping[str, Any]
    answers: tuple[str, ...]
    questions: tuple[QuestionRecord, ...]
    trace: tuple[TracedQuestion, ...] | None

    @property
    def tasks(self) -> Mapping[str, Mapping[str, Any]]:
        """The tasks of scores.json."""
        return cast(Mapping[str, Mapping[str, Any]], self.record["tasks"])


def read_runs(folders: Sequence[Path], data: Path | None = None, names: Mapping[Path, str] | None = None) -> list[Run]:
    """Read runs of the same questions; a run without an entry in `names` is named after its folder.

    Raises:
        UserError: a run cannot be read, two have one name, or they were asked different questions.
    """
    runs = [read_run(folder, data) for folder in folders]
    for run in runs[1:]:
        if _asked(run) != _asked(runs[0]):
            raise UserError(
                f"{run.folder} answered other questions than {runs[0].folder}: "
                "compare runs of local_evaluation.py with the same --data, --limit and --samples"
            )
    named = [(names or {}).get(folder) or name for folder, name in zip(folders, _names(folders), strict=True)]
    if len(set(named)) < len(named):
        raise UserError(f"two runs are called {max(named, key=named.count)}: give each another name, as in NAME=RUN")
    return [replace(run, name=name) for run, name in zip(runs, named, strict=True)]


def read_run(folder: Path, data: Path | None = None) -> Run:
    """Read one run; `data` holds the questions of a run that kept none and whose data file has moved.

    Raises:
        UserError: a file is missing or damaged, or the files do not belong together.
    """
    record = read_scores(folder / "scores.json")
    answers = read_answers(folder / "answers.jsonl")
    questions = _questions(folder, record, answers, data)
    if not len(answers) == len(questions) == record["data"]["questions"]:
        raise UserError(
            f"{folder}: {len(answers)} answers, {len(questions)} questions and scores of "
            f"{record['data']['questions']} do not belong together{AGAIN}"
        )
    trace_file = folder / "trace.jsonl"
    trace = tuple(read_trace(trace_file, len(questions))) if trace_file.exists() else None
    run = Run(folder.resolve().name, folder, record, tuple(answers), tuple(questions), trace)
    _check_scores(run)
    return run


def share_of(score: Score | None) -> float | None:
    """Return a question's score from 0 to 1: the F1 of counts of phrases, 1 if there is nothing to find."""
    if not isinstance(score, Counts):
        return score
    most = 2 * score.tp + score.fp + score.fn
    return 2 * score.tp / most if most else 1.0


def by_task(run: Run) -> dict[str, list[QuestionRecord]]:
    """Return the questions of each task, in the order of the data."""
    tasks: dict[str, list[QuestionRecord]] = defaultdict(list)
    for record in run.questions:
        tasks[record.question.task_name].append(record)
    return tasks


def rows_of(records: Sequence[QuestionRecord]) -> list[Score | None]:
    """Return the scores of all rows of a task's questions."""
    return [score for record in records for score in record.scores]


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the last part of each path, and as many parts before it as make the names differ."""
    parts = [folder.resolve().parts for folder in folders]
    for size in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-size:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError(f"{folders[0]} is named twice: name every run once")


def _asked(run: Run) -> list[tuple[str, str, object]]:
    return [(q.input_field, q.task_name, q.output_field) for q in (record.question for record in run.questions)]


def _questions(
    folder: Path, record: Mapping[str, Any], answers: Sequence[str], data: Path | None
) -> Sequence[QuestionRecord]:
    kept = folder / "questions.jsonl"
    if kept.exists():
        return read_question_records(kept)
    questions = _of_data(folder, record["data"], data)
    if len(questions) != len(answers):
        raise UserError(f"{folder}: {len(answers)} answers to {len(questions)} questions{AGAIN}")
    return question_records(questions, score_answers(questions, answers).rows)


def _of_data(folder: Path, described: Mapping[str, Any], data: Path | None) -> list[QuestionRow]:
    """Read the questions of a run that kept none from its data file."""
    path = data or Path(described["path"])
    questions = read_questions(path)[: described["questions"]]
    if sha256(path) != described["sha256"]:
        raise UserError(f"{path} is not the data file of {folder}: name that file by --data")
    return questions


def _check_scores(run: Run) -> None:
    """Require that the questions' scores give those of scores.json: a folder may contain files of two runs."""
    tasks = by_task(run)
    if set(tasks) != set(run.tasks):
        raise UserError(f"{run.folder}: scores.json and questions.jsonl name different tasks{AGAIN}")
    for name, records in tasks.items():
        recorded, rows = run.tasks[name]["score"], rows_of(records)
        known = [score for score in rows if score is not None]
        if recorded is not None and (len(known) < len(rows) or abs(score_of(known) - recorded) > _SAME):
            raise UserError(f"{run.folder}: the score of task {name!r} is not that of its questions{AGAIN}")


class _Task(TypedDict):
    score: Amount | None
    metric: str
    task_type: str
    not_scored: NotRequired[str]


class _Seconds(TypedDict):
    load: Amount | None
    predict: Amount | None
    per_question: Amount | None


class _Fallbacks(TypedDict):
    total: Count
    reasons: dict[str, Count]


class _Data(TypedDict):
    path: Annotated[str, Field(pattern=r"^[^\x00]*$")]
    sha256: str
    questions: Count


class _Record(TypedDict):
    """The fields of scores.json that the page relies on; others it only prints."""

    tasks: dict[str, _Task]
    task_types: dict[str, object]
    tracks: dict[str, object]
    seconds: _Seconds
    fallbacks: _Fallbacks | None
    data: _Data
    versions: dict[str, str]


_RECORD = TypeAdapter(_Record)


def read_scores(path: Path) -> Mapping[str, Any]:
    """Read a scores.json; fields that the page only prints may be missing.

    Raises:
        UserError: it cannot be read, a field is missing or does not fit, or a number is not finite.
    """
    record = read_object(path, "name a folder that local_evaluation.py wrote, or run it again")
    try:
        checked(_RECORD, record)
        _check_numbers(record)
    except ValueError as error:
        raise UserError(f"{path}: {error}{AGAIN}") from None
    return record


def _check_numbers(value: object, *where: str) -> None:
    """Require finite numbers, and no deeper nesting than the page can print."""
    if len(where) > _DEEPEST:
        raise ValueError(f"field {'.'.join(where[:3])!r} nests more than {_DEEPEST} deep")
    if isinstance(value, dict | list):
        for name, each in value.items() if isinstance(value, dict) else enumerate(value):
            _check_numbers(each, *where, str(name))
    elif isinstance(value, float) and not abs(value) <= LARGEST:
        raise ValueError(f"field {'.'.join(where)!r} is {value}, not a finite number; correct its source")
