"""Runs as local_evaluation.py leaves them, small and made by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation.loop import Batch, Prediction
from evaluation.question_record import question_records, write_questions, write_trace
from evaluation.questions import QuestionRow
from evaluation.report.page import write_report
from evaluation.report.runs import read_runs
from evaluation.run_record import record_run
from evaluation.scores import score_answers
from models.traced_question import TracedQuestion
from utilities.files import write_json, write_json_lines
from utilities.task_type import TaskType

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=alert(1)> \"'&amp; \u2028 <!-- 🛒 {{ 7*7 }} $x$"
)
TRACK_2, TRACK_3 = "amazon-kdd-cup-24-shopping-knowledge-reasoning", "amazon-kdd-cup-24-user-behavior-alignment"


def choice(number: int, truth: int, task: str = "options") -> QuestionRow:
    text = f"Question {number}: which one?\n0. a fork\n1. a bottle\nAnswer:"
    return QuestionRow(text, truth, task, TaskType.MULTIPLE_CHOICE, "accuracy", True, TRACK_2)


def phrases(text: str, truth: Sequence[str]) -> QuestionRow:
    return QuestionRow(text, list(truth), "entities", TaskType.NAMED_ENTITY_RECOGNITION, "micro f1", False, TRACK_3)


QUESTIONS = [
    *(choice(number, truth) for number, truth in enumerate([0, 1, 1, 0])),
    phrases("Name the brand: 'norvane bottle'", ["norvane"]),
    phrases(f"Name the colour: {HOSTILE}", ["red", "blue"]),
]
FIRST = ["0", "0", "1", "1", "norvane", "red, green"]
SECOND = ["0", "1", "1", "1", "bottle", "red, green"]
TRACED = TracedQuestion(
    task_type="multiple-choice",
    system="You help customers.",
    user=QUESTIONS[0].input_field,
    bare="",
    cue="Answer:",
    as_statement=False,
    way="label",
    kind="choice",
    labels=("0", "1"),
    texts=("a fork", "a bottle"),
    evidence={"lexical": (0.5, 0.0)},
    model_scores=(0.0, 0.0),
    scores=(1.0, -1.0),
    written="0",
    fallback="",
    seconds=1.0,
    tokens_read=30.0,
    tokens_written=2.0,
)


def traced(question: QuestionRow, **changes: object) -> TracedQuestion:
    fields: dict[str, Any] = {"task_type": question.task_type.value, "user": question.input_field, **changes}
    of_type = replace(TRACED, **fields)
    if question.task_type is TaskType.MULTIPLE_CHOICE:
        return of_type
    return replace(of_type, labels=(), texts=(), evidence={}, model_scores=(), scores=(), written="")


def make_run(
    folder: Path,
    answers: Sequence[str] = FIRST,
    questions: Sequence[QuestionRow] = QUESTIONS,
    changes: Mapping[int, Mapping[str, object]] | None = None,
    *,
    trace: bool = True,
) -> Path:
    """Write a run; `changes` are fields of its questions' traces by number."""
    scores = score_answers(questions, answers)
    asked = tuple(sorted(range(len(questions)), key=lambda index: questions[index].task_type))
    batches = tuple(Batch(len(asked[at : at + 4]), 2.0 * len(asked[at : at + 4])) for at in range(0, len(asked), 4))
    prediction = Prediction(tuple(answers), batches, asked)
    folder.mkdir(parents=True)
    write_json_lines(folder / "answers.jsonl", answers)
    write_questions(folder / "questions.jsonl", question_records(questions, scores.rows, prediction))
    if trace:
        given = changes or {}
        write_trace(folder / "trace.jsonl", [traced(q, **given.get(i, {})) for i, q in enumerate(questions)])
    described = record_run(object(), prediction, 30.0).to_json()  # type: ignore[arg-type]
    data = {"path": "gone.json", "sha256": "0", "questions": len(questions)}
    write_json(folder / "scores.json", {**scores.to_json(), **described, "versions": {"shopalign": "1"}, "data": data})
    return folder


def written(tmp_path: Path, *runs: Path) -> str:
    """Write the page of the runs and return its HTML."""
    path = tmp_path / "report.html"
    write_report(read_runs(runs), path)
    return path.read_text(encoding="utf-8")
