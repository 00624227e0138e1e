import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from evaluation.parsers import parse
from models import shopbench_model
from models.engines.interface import Answer, EngineError, Usage
from models.engines.scripted import ScriptedEngine
from models.settings import Settings
from models.shopbench_model import FailureLog, ShopBenchModel
from prompts.prompt import Choice, Prompt, Selection, admits
from prompts.registry import BUILDERS
from retrieval.knowledge import KINDS
from retrieval.settings import FuseSettings, KnowledgeSettings
from utilities.task_type import TaskType

if TYPE_CHECKING:
    from models.engines.transformers_engine.engine import TransformersEngine

RANKING = (
    "Rank the following products by their relevance to the query, the most relevant one first.\nQuery: steel bottle\n"
    "1. Garden hose\n2. Steel bottle\n3. Bottle brush\n4. Steel fork\n5. Lamp\n"
    "Answer with the five numbers, with commas between them."
)
CHOICE = "Which of these holds water?\n0. a fork\n1. a bottle\n2. a lamp\n3. a book\nAnswer:"
RATING = "Review: I love this mug.\nHow many stars from 1 to 5 does the review give?"
FREE = "Explain what a trivet is in one sentence."
NAMED = "Find the entity of type 'brand' in the query: 'norvane bottle'."
QUESTIONS = [RANKING, FREE, NAMED, FREE + " Please.", RANKING.replace("steel", "glass")]
EVIDENCE = Settings(knowledge=KnowledgeSettings(similarity="lexical", fuse=FuseSettings(**dict.fromkeys(KINDS, False))))


@dataclass
class Engine:
    """Answers by a function of the whole batch."""

    answering: Callable[[Sequence[Prompt]], Any]

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = 0.0
    ) -> list[Answer]:
        return cast(list[Answer], self.answering(prompts))

    def usage(self) -> Usage:
        return Usage()

    def describe(self) -> Mapping[str, object]:
        return {"engine": "test"}


def by_model(prompt: Prompt) -> Answer:
    """A member of the space that is not the fallback, where there is one."""
    space = prompt.space
    if isinstance(space, Choice):
        return Answer(next(label for label in space.labels if label != prompt.fallback))
    if isinstance(space, Selection):
        order = sorted(space.labels, reverse=True)
        return Answer(", ".join(order[: space.count]))
    return Answer(prompt.fallback)


def predict(engine: Any, questions: Sequence[str], multiple_choice: bool = False) -> tuple[list[str], ShopBenchModel]:
    model = ShopBenchModel(EVIDENCE, engine)
    return model.batch_predict({"prompt": list(questions)}, multiple_choice), model


EXPECTED = predict(ScriptedEngine(by_model), QUESTIONS)[0]
FALLBACKS = predict(ScriptedEngine(), QUESTIONS)[0]


def test_the_engines_answers_come_back_in_order() -> None:
    questions = [f"Explain the word number {number}." for number in range(16)]
    answers, model = predict(ScriptedEngine(lambda prompt: Answer(prompt.user.rstrip(".").split()[-1])), questions)
    assert answers == [str(number) for number in range(16)]
    assert model.fallbacks == {}


def test_an_empty_batch_has_no_answers() -> None:
    assert predict(ScriptedEngine(), [])[0] == []


def test_the_flag_alone_makes_a_question_multiple_choice() -> None:
    for question in (*QUESTIONS, CHOICE, RATING):
        (answer,), _ = predict(ScriptedEngine(), [question], multiple_choice=True)
        assert cast(int, parse(TaskType.MULTIPLE_CHOICE, answer)) >= 0


def test_a_choice_is_one_of_the_printed_numbers() -> None:
    engine = ScriptedEngine()
    predict(engine, [CHOICE], multiple_choice=True)
    assert engine.seen[0].space == Choice(("0", "1", "2", "3"), ("a fork", "a bottle", "a lamp", "a book"))


def test_scores_and_evidence_are_fused_by_the_weights_of_the_file_unless_switched_off(tmp_path: Path) -> None:
    scores = (-1.0, -2.0, -3.0, -4.0, -5.0)
    engine = ScriptedEngine(lambda _: Answer("1, 2, 3, 4, 5", scores))
    answers = []
    file = tmp_path / "weights.yaml"
    file.write_text("kinds: {ranking: {weights: {lexical+model: {lexical: 1, model: 0}}}}", encoding="utf-8")
    for fused in (False, True):
        settings = Settings(
            knowledge=KnowledgeSettings(similarity="lexical", weights=str(file), fuse=FuseSettings(ranking=fused))
        )
        answers += ShopBenchModel(settings, engine).batch_predict({"prompt": [RANKING]}, False)
    assert answers[0] == "1, 2, 3, 4, 5"
    assert answers[1].startswith("2, ")
    assert answers[1] == engine.seen[-1].fallback


ERRORS = [
    EngineError("no"),
    ValueError("a tree needs a token"),
    MemoryError(),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    AssertionError(),
    KeyError("x"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    RecursionError("maximum recursion depth exceeded"),
    StopIteration(),
]


def failing(error: Exception, when: Callable[[Sequence[Prompt]], bool]) -> Engine:
    def answering(prompts: Sequence[Prompt]) -> list[Answer]:
        if when(prompts):
            raise error
        return [by_model(prompt) for prompt in prompts]

    return Engine(answering)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_engine_that_fails_on_batches_answers_every_question_alone(error: Exception) -> None:
    answers, model = predict(failing(error, lambda prompts: len(prompts) > 1), QUESTIONS)
    assert answers == EXPECTED
    assert model.fallbacks == {}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("bad", range(len(QUESTIONS)))
def test_an_engine_that_fails_on_one_question_costs_that_question_only(error: Exception, bad: int) -> None:
    seen = ScriptedEngine()
    predict(seen, QUESTIONS)
    culprit = seen.seen[bad]
    answers, model = predict(failing(error, lambda prompts: culprit in prompts), QUESTIONS)
    assert answers == [*EXPECTED[:bad], FALLBACKS[bad], *EXPECTED[bad + 1 :]]
    assert sum(model.fallbacks.values()) == 1


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_engine_that_always_fails_leaves_what_is_known_without_a_model(error: Exception) -> None:
    answers, model = predict(failing(error, lambda _: True), QUESTIONS)
    assert answers == FALLBACKS
    assert sum(model.fallbacks.values()) == len(QUESTIONS)


@pytest.mark.parametrize("returned", [[], [Answer("1")], [Answer("1")] * 6, None, 3, "1", {}, iter([])])
def test_a_batch_that_comes_back_wrong_is_asked_again_one_by_one(returned: Any) -> None:
    def answering(prompts: Sequence[Prompt]) -> Any:
        return returned if len(prompts) > 1 else [by_model(prompts[0])]

    answers, model = predict(Engine(answering), QUESTIONS)
    assert answers == EXPECTED
    assert model.fallbacks == {}


@pytest.mark.parametrize("returned", [None, [], [None], ["1"], [3], [object()], {}, [[]], [Answer(cast(str, None))]])
def test_what_is_no_answer_at_all_leaves_what_is_known_without_a_model(returned: Any) -> None:
    answers, model = predict(Engine(lambda prompts: returned if len(prompts) == 1 else []), QUESTIONS)
    assert answers == FALLBACKS
    assert sum(model.fallbacks.values()) == len(QUESTIONS)


@pytest.mark.parametrize(
    "text", ["", " ", "I think it is 2", "1, 1, 1", "9", '{"answer": 1}', "\ud800", "1," * 9000, "1\n"]
)
def test_nonsense_is_no_answer_where_options_or_phrases_are_asked(text: str) -> None:
    asked = [RANKING, NAMED]
    answers, model = predict(ScriptedEngine(lambda _: Answer(text)), asked)
    assert answers == predict(ScriptedEngine(), asked)[0]
    assert model.fallbacks == {"answer outside its space": 2}


@pytest.mark.parametrize(
    "scores",
    [(1.0,), (1.0,) * 6, (float("nan"),) * 5, (float("inf"), 0.0, 0.0, 0.0, 0.0), (float("-inf"),) * 5, ("x",) * 5],
)
def test_scores_that_make_no_sense_still_leave_a_ranking_of_all(scores: Any) -> None:
    settings = Settings(knowledge=KnowledgeSettings(similarity="lexical"))
    model = ShopBenchModel(settings, ScriptedEngine(lambda _: Answer("1, 2, 3, 4, 5", scores)))
    answers = model.batch_predict({"prompt": [RANKING]}, False)
    assert sorted(cast(list[int], parse(TaskType.RANKING, answers[0]))) == [1, 2, 3, 4, 5]


def raises(*_: object) -> Any:
    raise RuntimeError("a bug")


@pytest.mark.parametrize("flag", [True, False])
def test_a_detection_that_fails_still_lets_the_model_answer(monkeypatch: pytest.MonkeyPatch, flag: bool) -> None:
    monkeypatch.setattr(shopbench_model, "detect_task_type", raises)
    engine = ScriptedEngine(by_model)
    answers, model = predict(engine, QUESTIONS, flag)
    assert all(admits(prompt.space, answer) for prompt, answer in zip(engine.seen, answers, strict=True))
    assert {isinstance(prompt.space, Choice) for prompt in engine.seen} == {flag}
    assert model.fallbacks["task type not detected"] == len(QUESTIONS)


def test_a_builder_that_fails_on_one_question_lets_the_model_answer_it_as_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = ScriptedEngine(by_model)
    model = ShopBenchModel(EVIDENCE, engine)
    builders = dict(BUILDERS)
    build = builders[TaskType.RANKING]
    builders[TaskType.RANKING] = lambda question, settings, knowledge: (
        raises() if question.text == QUESTIONS[0] else build(question, settings, knowledge)
    )
    monkeypatch.setattr(shopbench_model, "BUILDERS", builders)
    answers = model.batch_predict({"prompt": QUESTIONS}, False)
    assert engine.seen[0].user == QUESTIONS[0]
    assert sorted(cast(list[int], parse(TaskType.RANKING, answers[0]))) == [1, 2, 3, 4, 5]
    assert answers[1:] == EXPECTED[1:]
    assert model.fallbacks == {"prompt not built": 1}


def test_fallbacks_add_up_over_batches_by_reason(caplog: pytest.LogCaptureFixture) -> None:
    model = ShopBenchModel(EVIDENCE, ScriptedEngine(lambda prompt: Answer("" if prompt.user != FREE else "A stand.")))
    with caplog.at_level(logging.WARNING, logger="shopalign"):
        for _ in range(3):
            model.batch_predict({"prompt": [RANKING, FREE]}, False)
    assert model.fallbacks == {"answer outside its space": 3}
    assert sum("answer outside its space" in record.message for record in caplog.records) == 3


def test_the_failures_of_a_batch_are_one_line_with_the_first_cause_of_each(caplog: pytest.LogCaptureFixture) -> None:
    log = FailureLog()
    with caplog.at_level(logging.WARNING, logger="shopalign"):
        log.add("engine failed", 2, ValueError("no tokens"))
        log.add("engine failed", 1, ValueError("no more tokens"))
        log.add("out of time", 1)
        log.log_batch(16)
        log.log_batch(16)
        log.add("out of time", 1)
        log.log_batch(1)
    assert [record.message for record in caplog.records] == [
        "of 16 questions: 3 engine failed (ValueError: no tokens), 1 out of time",
        "of 1 question: 1 out of time",
    ]
    assert log.counts == {"engine failed": 3, "out of time": 2}


def test_without_limits_a_slow_model_is_not_cut() -> None:
    model = ShopBenchModel(EVIDENCE, ScriptedEngine(by_model))
    model.lift_limits()
    assert model.batch_predict({"prompt": QUESTIONS}, False) == EXPECTED


def test_the_batch_size_is_that_of_the_settings() -> None:
    assert ShopBenchModel(replace(EVIDENCE, batch_size=7), ScriptedEngine()).get_batch_size() == 7


def test_the_description_holds_settings_and_weights() -> None:
    described = ShopBenchModel(EVIDENCE, ScriptedEngine()).describe()
    assert described["weights"] == {"engine": "scripted"}
    assert cast(dict[str, Any], described["settings"])["knowledge"]["fuse"]["ranking"] is False


def test_the_evaluator_finds_its_model_under_its_name() -> None:
    from models.user_config import UserModel

    assert UserModel is ShopBenchModel


@pytest.mark.parametrize("way", ["label", "pmi", "decode"])
def test_the_whole_path_answers_every_kind_of_question(
    tiny_engine: "Callable[[str], TransformersEngine]", way: str
) -> None:
    model = ShopBenchModel(Settings(), tiny_engine(way))
    ranked, free, named, *_ = model.batch_predict({"prompt": QUESTIONS}, False)
    chosen, rated = model.batch_predict({"prompt": [CHOICE, RATING]}, True)
    assert sorted(cast(list[int], parse(TaskType.RANKING, ranked))) == [1, 2, 3, 4, 5]
    assert free.strip()
    assert named in "norvane bottle"
    assert parse(TaskType.MULTIPLE_CHOICE, chosen) in (0, 1, 2, 3)
    assert parse(TaskType.MULTIPLE_CHOICE, rated) in (1, 2, 3, 4, 5)
    assert model.fallbacks == {}


def test_a_question_is_answered_alike_alone_and_in_a_batch(tiny_engine: "Callable[[str], TransformersEngine]") -> None:
    model = ShopBenchModel(Settings(), tiny_engine("pmi"))
    together = model.batch_predict({"prompt": QUESTIONS}, False)
    assert together == [model.batch_predict({"prompt": [question]}, False)[0] for question in QUESTIONS]
