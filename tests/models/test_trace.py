import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import local_evaluation
from evaluation.loop import Batch, Prediction
from evaluation.question_record import question_records, read_trace, write_questions, write_trace
from evaluation.report.runs import read_run
from models.engines.interface import Answer, Usage
from models.engines.settings import EngineSettings
from models.item import Item, decide
from models.scheduling.asking import Missing
from models.trace import Trace, start_trace
from prompts.prompt import Choice, Prompt
from prompts.reading import Question
from retrieval.knowledge import Combiner, FittedSum
from tests.evaluation.report.report_runs import QUESTIONS
from utilities.task_type import TaskType


def prompt(**changes: Any) -> Prompt:
    space = Choice(("0", "1"), ("a fork", "a bottle"))
    return Prompt(
        "role", "user", space, fallback="0", kind="choice", **{"evidence": {"lexical": (1.0, 0.0)}, **changes}
    )


def of(value: Any) -> Callable[[Prompt], Any]:
    """The same for every prompt."""
    return lambda _: value


def settled(asked: Prompt, answer: Answer | Missing, combiner: Combiner) -> Item:
    return Item(Question(asked.user), TaskType.MULTIPLE_CHOICE, asked, answer, decide(asked, answer, combiner))


def test_a_trace_holds_what_was_detected_read_scored_and_decided(tmp_path: Path) -> None:
    trace, combiner = Trace(), FittedSum({"choice": {"lexical+model": {"lexical": 2.0, "model": 1.0}}})
    items = [
        settled(prompt(), Answer("1", (0.0, 4.0)), combiner),
        settled(prompt(), Missing("out of time"), combiner),
        settled(prompt(evidence={}), Answer("7"), combiner),
    ]
    trace.add(items, of(EngineSettings(choice="label")), Usage(prefill_tokens=300, decode_tokens=6), 1.5)
    first, second, third = trace.questions
    assert (first.model_scores, first.scores, first.written) == ((0.0, 4.0), (1.0, -1.0), "1")
    assert (first.way, first.evidence, first.texts) == ("label", {"lexical": (1.0, 0.0)}, ("a fork", "a bottle"))
    assert (first.seconds, first.tokens_read, first.tokens_written) == (0.5, 100.0, 2.0)
    assert [each.fallback for each in (first, second, third)] == ["", "out of time", "answer outside its space"]
    trace.add(items[:1], of(EngineSettings()), Usage(prefill_tokens=340), 1.0)
    assert trace.questions[3].tokens_read == 40.0
    write_trace(tmp_path / "trace.jsonl", trace.questions)
    assert read_trace(tmp_path / "trace.jsonl", 4) == trace.questions


def test_only_a_model_that_can_keep_a_trace_is_given_one() -> None:
    assert start_trace(object()) is None
    model = SimpleNamespace(trace=None)
    assert start_trace(model) is model.trace


def test_what_came_in_the_order_of_asking_returns_to_the_order_of_the_data() -> None:
    prediction = Prediction(("a", "b", "c"), (Batch(1, 1.0), Batch(2, 2.0)), asked=(2, 0, 1))
    assert prediction.in_order(["third", "first", "second"]) == ("first", "second", "third")
    assert prediction.batch_of == (1, 1, 0)


class Traced:
    """A model of the evaluator's contract that keeps a trace."""

    def __init__(self) -> None:
        self.trace: Trace | None = None

    def get_batch_size(self) -> int:
        return 2

    def batch_predict(self, batch: dict[str, list[str]], is_multiple_choice: bool) -> list[str]:
        assert self.trace is not None
        answer = Answer("0", (1.0, 0.0))
        items = [settled(prompt(cue=text), answer, FittedSum({})) for text in batch["prompt"]]
        self.trace.add(items, of(EngineSettings()), Usage(), 1.0)
        return ["0"] * len(items)


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    def run(*options: str) -> Path:
        module = ModuleType("models.user_config")
        module.UserModel = Traced  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "models.user_config", module)
        write_questions(tmp_path / "data.json", question_records(QUESTIONS[::-1], [0.0] * len(QUESTIONS)))
        output = tmp_path / "outputs"
        assert local_evaluation.main(["--data", str(tmp_path / "data.json"), "--output", str(output), *options]) == 0
        return output

    return run


def test_an_evaluation_writes_its_report_and_says_where(
    evaluated: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = evaluated()
    assert f"report: {folder / 'report.html'}" in capsys.readouterr().out
    trace = read_run(folder).trace
    assert trace is not None
    assert [each.cue for each in trace] == [question.input_field for question in QUESTIONS[::-1]]


def test_no_report_is_written_where_none_is_wanted(evaluated: Callable[..., Path]) -> None:
    assert sorted(each.name for each in evaluated("--no-report").iterdir()) == [
        "answers.jsonl",
        "questions.jsonl",
        "scores.json",
        "trace.jsonl",
    ]


def test_saved_answers_leave_no_trace_of_another_run(evaluated: Callable[..., Path]) -> None:
    folder = evaluated()
    evaluated("--answers", str(folder / "answers.jsonl"))
    assert read_run(folder).trace is None
