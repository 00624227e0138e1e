"""Examples before a question: fixed ones, an earlier question of the run, and the room that they may take."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.questions import read_questions
from models import example_memory as kept
from models.engines.interface import Answer, EngineError
from models.engines.scripted import ScriptedEngine
from models.engines.settings import EngineSettings
from models.settings import ReasoningSettings, Settings
from models.shopbench_model import ShopBenchModel
from prompts.exemplars import exemplar, fixed_exemplars, likest, with_exemplars
from prompts.external_information import token_estimate
from prompts.orders import reorderings
from prompts.prompt import Choice, Prompt, admits
from prompts.reading import Question
from prompts.registry import BUILDERS
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE
from tests.models.test_shopbench_model import CHOICE, EVIDENCE, FREE, NAMED, QUESTIONS, RANKING, RATING, by_model
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.task_type import TaskType

if TYPE_CHECKING:
    from models.engines.transformers_engine.engine import TransformersEngine

DEFAULT = PromptSettings()
FIXED = fixed_exemplars(DEFAULT)
EARLIER = "Which of these gives light?\n0. a spoon\n1. a candle\n2. a towel\n3. a comb\nAnswer:"
REPOSITORY = ROOT


def built(question: str, task_type: TaskType = TaskType.MULTIPLE_CHOICE) -> Prompt:
    return BUILDERS[task_type](Question(question), DEFAULT, QUESTION_ALONE)


def shown(question: str, count: int, room: int = 10_000, task_type: TaskType = TaskType.MULTIPLE_CHOICE) -> Prompt:
    prompt = built(question, task_type)
    return with_exemplars(prompt, likest(FIXED, task_type, prompt, count), room)


def model_with(engine: Any = None, **prompts: Any) -> ShopBenchModel:
    return ShopBenchModel(replace(EVIDENCE, prompts=PromptSettings(**prompts)), engine or ScriptedEngine(by_model))


def test_without_examples_prompts_are_those_of_the_builders() -> None:
    engine = ScriptedEngine(by_model)
    model = model_with(engine)
    for _ in range(2):
        model.batch_predict({"prompt": [CHOICE, RATING]}, True)
    assert engine.seen == [built(CHOICE), built(RATING)] * 2


@pytest.mark.parametrize("task_type", TaskType)
def test_every_task_type_has_two_examples_of_its_own_that_the_evaluator_would_read(task_type: TaskType) -> None:
    of_type = [each for each in FIXED if each.task_type is task_type]
    assert len(of_type) >= 2
    assert all(admits(each.prompt.space, each.answer) for each in of_type)


def test_no_example_is_a_question_of_the_development_data() -> None:
    asked = {question.input_field for question in read_questions(REPOSITORY / "data" / "development.json")}
    assert not asked & {each.question for each in FIXED}


def test_examples_are_read_as_what_they_are() -> None:
    kinds = [each.prompt.kind for each in FIXED if each.task_type is TaskType.RETRIEVAL]
    assert kinds == ["also_bought", "aspects", "next_query", "snippets"]


def test_an_example_stands_before_the_question_with_its_answer() -> None:
    user = shown(CHOICE, 1).user
    assert user.startswith("[Example]\nWhich of these would somebody buy to keep soup hot until lunch?\n0. salad")
    assert user.endswith(f"cutting board\nAnswer: 1\n\n[Question]\n{CHOICE}")


def test_where_texts_are_scored_an_example_shows_the_text_of_its_answer_and_no_list() -> None:
    bare = shown(CHOICE, 1).bare
    assert bare.endswith("Answer: insulated food jar\n\n[Question]\nWhich of these holds water?")
    assert "cutting board" not in bare
    rating = shown(RATING, 2).bare
    assert "rating is very negative\n\n" in rating
    assert "[" not in rating


def test_examples_of_the_same_kind_come_first() -> None:
    assert "stars" in shown(RATING, 1).user.partition("[Question]")[0]
    assert "soup" in shown(CHOICE, 1).user
    translation = "Translate this product title into German.\nTitle: Steel Bottle\nGerman title:"
    assert "Hundedecke" in shown(translation, 1, task_type=TaskType.GENERATION).user


@given(st.integers(0, 400), st.integers(0, 4))
def test_examples_keep_to_their_tokens_and_are_shown_whole_or_not_at_all(room: int, count: int) -> None:
    user = shown(CHOICE, count, room).user
    before = user.removesuffix(CHOICE).removesuffix("[Question]\n")
    assert len(before) / 4 <= room
    assert before.count("[Example]") == before.count("\nAnswer: ") + before.count("rating is")
    if not before:
        assert user == CHOICE


@pytest.mark.parametrize("task_type", TaskType)
def test_examples_change_no_answer_space(task_type: TaskType) -> None:
    for question in (*QUESTIONS, CHOICE, RATING):
        prompt = built(question, task_type)
        changed = {"user", "bare"}
        kept_fields = {name: value for name, value in vars(prompt).items() if name not in changed}
        assert kept_fields.items() <= vars(shown(question, 4, task_type=task_type)).items()


@pytest.mark.slow
def test_a_prompt_is_never_made_longer_than_the_model_reads() -> None:
    engine = EngineSettings(max_prompt_tokens=200)
    scripted = ScriptedEngine()
    model = ShopBenchModel(Settings(engine=engine, prompts=PromptSettings(exemplars=4)), scripted)
    long = f"{'A review says much. ' * 40}\n{CHOICE}"
    model.batch_predict({"prompt": [CHOICE, long]}, True)
    seen = scripted.seen
    assert "[Example]" in seen[0].user
    assert token_estimate(seen[0].user) < 200
    assert seen[1].user == long


def test_an_earlier_question_is_shown_with_its_predicted_answer_in_the_next_batch() -> None:
    engine = ScriptedEngine(by_model)
    model = model_with(engine, dynamic_exemplars=True)
    (predicted,) = model.batch_predict({"prompt": [EARLIER]}, True)
    model.batch_predict({"prompt": [CHOICE]}, True)
    assert engine.seen[0] == built(EARLIER)
    marked = EARLIER.removesuffix("Answer:")
    assert engine.seen[1].user == f"[Example]\n{marked}Answer: {predicted}\n\n[Question]\n{CHOICE}"


def test_no_question_is_an_example_for_its_own_batch_or_for_itself() -> None:
    engine = ScriptedEngine(by_model)
    model = model_with(engine, dynamic_exemplars=True)
    model.batch_predict({"prompt": [EARLIER, CHOICE]}, True)
    assert [prompt.user for prompt in engine.seen] == [EARLIER, CHOICE]
    model.batch_predict({"prompt": [CHOICE]}, True)
    assert engine.seen[2].user == CHOICE


def test_a_question_is_an_example_for_its_own_kind_only() -> None:
    engine = ScriptedEngine(by_model)
    model = model_with(engine, dynamic_exemplars=True, external_information=0)
    model.batch_predict({"prompt": [RATING]}, True)
    model.batch_predict({"prompt": [CHOICE]}, True)
    model.batch_predict({"prompt": [RANKING, NAMED, FREE]}, False)
    assert not any("[Example]" in prompt.user for prompt in engine.seen)
    model.batch_predict({"prompt": [RANKING.replace("bottle", "jug")]}, False)
    assert "Query: steel bottle" in engine.seen[-1].user


def test_a_question_that_the_model_did_not_answer_is_no_example() -> None:
    def failing(prompt: Prompt) -> Answer:
        if "light" in prompt.user:
            raise EngineError("no")
        return by_model(prompt)

    engine = ScriptedEngine(failing)
    model = model_with(engine, dynamic_exemplars=True)
    model.batch_predict({"prompt": [EARLIER]}, True)
    model.batch_predict({"prompt": [CHOICE]}, True)
    assert engine.seen[-1].user == CHOICE


def test_the_same_batches_give_the_same_prompts_and_one_question_a_kind_is_kept() -> None:
    batches = [[CHOICE.replace("water", word)] for word in ("tea", "sand", "oil")]
    seen = []
    for _ in range(2):
        engine = ScriptedEngine(by_model)
        model = model_with(engine, dynamic_exemplars=True)
        for batch in batches * 3:
            model.batch_predict({"prompt": batch}, True)
        seen.append(engine.seen)
    assert seen[0] == seen[1]
    assert all(prompt.user.count("[Example]") == 1 for prompt in seen[0][1:])
    assert "holds sand?" in seen[0][2].user


def test_an_earlier_question_that_is_too_long_leaves_the_one_before_it() -> None:
    engine = ScriptedEngine(by_model)
    model = model_with(engine, dynamic_exemplars=True, exemplar_tokens=60)
    for question in (EARLIER, "A long story. " * 30 + "\n" + EARLIER, CHOICE):
        model.batch_predict({"prompt": [question]}, True)
    assert engine.seen[-1].user.startswith("[Example]\nWhich of these gives light?")


@pytest.mark.parametrize(
    "question", [CHOICE, CHOICE.replace("holds water", "has the feature 'holds water'"), CHOICE + " pick" * 40]
)
def test_an_example_with_the_same_options_is_not_reordered_in_place_of_the_question(question: str) -> None:
    """Relations and the like have one list for all questions; orders are made by reading the list back."""
    earlier = exemplar(TaskType.MULTIPLE_CHOICE, Question(CHOICE.replace("water", "tea")), "1", DEFAULT)
    assert earlier is not None
    others = reorderings(with_exemplars(built(question), [earlier], 1_000), 3)
    assert others
    for other in others:
        asked = other.user.rpartition("[Question]")[2]
        assert isinstance(other.space, Choice)
        assert tuple(sorted(other.space.texts, key=asked.index)) == other.space.texts


def test_orders_of_candidates_can_still_be_made_behind_an_example() -> None:
    (reverse,) = reorderings(shown(CHOICE, 1), 1)
    assert "0. a book\n1. a lamp" in reverse.user
    assert "0. salad spinner\n1. insulated food jar" in reverse.user


def test_examples_stand_before_a_question_with_its_chain_of_thought() -> None:
    engine = ScriptedEngine(lambda p: by_model(p) if isinstance(p.space, Choice) else Answer("A bottle is closed."))
    settings = replace(EVIDENCE, prompts=PromptSettings(exemplars=1), reasoning=ReasoningSettings(source="own"))
    ShopBenchModel(settings, engine).batch_predict({"prompt": [CHOICE]}, True)
    thought, answered = engine.seen
    assert "[Example]" not in thought.user
    marks = ["[Example]", "Answer: 1", "[Question]", "[Chain of Thought]", "[Answer]"]
    assert [answered.user.count(mark) for mark in marks] == [1] * 5
    assert sorted(marks, key=answered.user.index) == marks


@pytest.mark.parametrize("place", ["with_exemplars", "exemplar"])
def test_a_bug_on_the_way_costs_no_answer(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def raises(*_: object) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(kept, place, raises)
    model = model_with(exemplars=1, dynamic_exemplars=True)
    assert model.batch_predict({"prompt": [CHOICE]}, True) == [by_model(built(CHOICE)).text]
    assert sum(model.fallbacks.values()) == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'answer: "1"',
            'answer: "7"',
            r"multiple_choice\[0\]\.answer is '7', which is outside its question's answer space",
        ),
        ("ranking:", "rankings:", "unknown task type rankings"),
        ("answer: navy blue", "answer: 3", r"named_entity_recognition\[0\]\.answer is 3"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = (REPOSITORY / "prompts" / "exemplars.yaml").read_text(encoding="utf-8")
    path = tmp_path / "examples.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        fixed_exemplars(DEFAULT, path)


@pytest.mark.parametrize("way", ["label", "pmi", "text", "decode"])
def test_a_real_model_answers_behind_examples_in_every_way(
    tiny_engine: "Callable[[str], TransformersEngine]", way: str
) -> None:
    settings = Settings(prompts=PromptSettings(exemplars=1, dynamic_exemplars=True))
    model = ShopBenchModel(settings, tiny_engine(way))
    for _ in range(2):
        chosen, rated = model.batch_predict({"prompt": [CHOICE, RATING]}, True)
        assert chosen in "0123"
        assert rated in "12345"
        assert len(model.batch_predict({"prompt": QUESTIONS}, False)) == len(QUESTIONS)
    assert model.fallbacks == {}
