"""Runs as local_evaluation.py left them: a folder with scores.json, answers.jsonl, and what else it holds."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluation.metrics import Counts, Score
from evaluation.question_record import QuestionRecord, question_records, read_question_records, read_trace
from evaluation.questions import QuestionRow, json_lines, read_questions
from evaluation.report.scores_file import read_scores
from models.traced_question import TracedQuestion
from utilities.errors import UserError

MOST_RUNS = 6
"""So many runs a page can tell apart by colours and marks."""
_AGAIN = "run local_evaluation.py again"
_SAME = 1e-9


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
        tasks: Mapping[str, Mapping[str, Any]] = self.record["tasks"]
        return tasks


def read_runs(folders: Sequence[Path], data: Path | None = None, names: Mapping[Path, str] | None = None) -> list[Run]:
    """Read runs of the same questions, under the `names` of their folders, or what tells the folders apart.

    Raises:
        UserError: a run cannot be read, two have one name, or they were asked different questions.
    """
    runs = [read_run(folder, data) for folder in folders]
    for run in runs[1:]:
        if _asked(run) != _asked(runs[0]):
            raise UserError(
                f"{run.folder} was asked other questions than {runs[0].folder}: "
                "compare runs made with the same --data and --limit"
            )
    told = [(names or {}).get(folder) or name for folder, name in zip(folders, _names(folders), strict=True)]
    if len(set(told)) < len(told):
        raise UserError(f"two runs are called {max(told, key=told.count)}: give each another name, as in NAME=RUN")
    return [replace(run, name=name) for run, name in zip(runs, told, strict=True)]


def read_run(folder: Path, data: Path | None = None) -> Run:
    """Read one run. `data` holds the questions of a run that kept none and whose own data file is gone.

    Raises:
        UserError: something of it is missing or damaged, or its parts do not belong together.
    """
    record = read_scores(folder / "scores.json")
    answers = _answers(folder / "answers.jsonl")
    questions = _questions(folder, record, answers, data)
    if not len(answers) == len(questions) == record["data"]["questions"]:
        raise UserError(
            f"{folder}: {len(answers)} answers, {len(questions)} questions and scores of "
            f"{record['data']['questions']} do not belong together: {_AGAIN}"
        )
    trace_file = folder / "trace.jsonl"
    trace = tuple(read_trace(trace_file, len(questions))) if trace_file.exists() else None
    run = Run(folder.resolve().name, folder, record, answers, tuple(questions), trace)
    _check_scores(run)
    return run


def share_of(score: Score | None) -> float | None:
    """Return a question's score from 0 to 1; counts of phrases give their F1, 1 where there is nothing to find."""
    if not isinstance(score, Counts):
        return score
    most = 2 * score.tp + score.fp + score.fn
    return 2 * score.tp / most if most else 1.0


def by_task(run: Run) -> dict[str, list[QuestionRecord]]:
    """Return the questions of each task, in the order of the data."""
    tasks: dict[str, list[QuestionRecord]] = {}
    for record in run.questions:
        tasks.setdefault(record.question.task_name, []).append(record)
    return tasks


def rows_of(records: Sequence[QuestionRecord]) -> list[Score | None]:
    """Return the scores that a task's score is taken of."""
    return [score for record in records for score in record.scores]


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the last part of each path, and as many more as it takes to tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for size in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-size:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError(f"{folders[0]} is named twice: name every run once")


def _asked(run: Run) -> list[tuple[str, str, object]]:
    return [(q.input_field, q.task_name, q.output_field) for q in (record.question for record in run.questions)]


def _answers(path: Path) -> tuple[str, ...]:
    answers = []
    for number, value in json_lines(path):
        if not isinstance(value, str):
            raise UserError(f"{path}, line {number}: not a JSON string: {_AGAIN}")
        answers.append(value)
    return tuple(answers)


def _questions(
    folder: Path, record: Mapping[str, Any], answers: Sequence[str], data: Path | None
) -> Sequence[QuestionRecord]:
    kept = folder / "questions.jsonl"
    if kept.exists():
        return read_question_records(kept)
    questions = _of_data(folder, record, data)
    if len(questions) != len(answers):
        raise UserError(f"{folder}: {len(answers)} answers to {len(questions)} questions: {_AGAIN}")
    from evaluation.scores import score_answers

    return question_records(questions, score_answers(questions, answers).rows)


def _of_data(folder: Path, record: Mapping[str, Any], data: Path | None) -> list[QuestionRow]:
    """Read the questions of a run that kept none from the file that it was made of."""
    described = record["data"]
    path = data or Path(described["path"])
    questions = read_questions(path)[: described["questions"]]
    if hashlib.sha256(path.read_bytes()).hexdigest() != described["sha256"]:
        raise UserError(f"{path} is not the file that {folder} was made of: name that one by --data")
    return questions


def _check_scores(run: Run) -> None:
    """Require that the questions' scores give those of scores.json: a folder may hold files of two runs."""
    from evaluation.intervals import score_of

    tasks = by_task(run)
    if set(tasks) != set(run.tasks):
        raise UserError(f"{run.folder}: scores.json and questions.jsonl name different tasks: {_AGAIN}")
    for name, records in tasks.items():
        told, rows = run.tasks[name]["score"], rows_of(records)
        known = [score for score in rows if score is not None]
        if told is not None and (len(known) < len(rows) or abs(score_of(known) - told) > _SAME):
            raise UserError(f"{run.folder}: the score of task {name!r} is not that of its questions: {_AGAIN}")
