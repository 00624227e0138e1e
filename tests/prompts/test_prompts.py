import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.parsers import parse
from prompts.plain import plain_prompt
from prompts.prompt import Choice, Prompt, Selection, Spans, Text, admits
from prompts.reading import Question
from prompts.registry import BUILDERS
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE
from tests.prompts.regenerate_goldens import DEVELOPMENT_FILE, MODULES
from utilities.task_type import TaskType

QUESTIONS = [json.loads(line) for line in DEVELOPMENT_FILE.read_text(encoding="utf-8").splitlines()]
VARIANTS = [(task_type, name) for task_type, module in MODULES.items() for name in module.VARIANTS]
PLAIN = PromptSettings(external_information=0)


def build(task_type: TaskType, question: str, settings: PromptSettings = PLAIN) -> Prompt:
    return BUILDERS[task_type](Question(question), settings, QUESTION_ALONE)


def with_variant(task_type: TaskType, name: str) -> PromptSettings:
    changes: dict[str, Any] = {task_type.name.lower(): name}
    return replace(PLAIN, **changes)


def labels_of(prompt: Prompt) -> tuple[str, ...]:
    return prompt.space.labels if isinstance(prompt.space, Choice | Selection) else ()


def assert_sound(prompt: Prompt, task_type: TaskType) -> None:
    """What every prompt promises to every engine."""
    assert prompt.system.strip()
    assert admits(prompt.space, prompt.fallback), (prompt.space, prompt.fallback)
    assert {len(scores) for scores in prompt.evidence.values()} <= {len(labels_of(prompt))}
    assert isinstance(prompt.space, Spans) <= bool(prompt.bare.strip())
    kinds: dict[TaskType, type[Any]] = {
        TaskType.MULTIPLE_CHOICE: Choice,
        TaskType.RETRIEVAL: Selection,
        TaskType.RANKING: Selection,
    }
    assert isinstance(prompt.space, kinds.get(task_type, (Spans, Text)))


@pytest.mark.parametrize(("task_type", "name"), VARIANTS)
def test_every_own_question_makes_a_sound_prompt_in_every_variant(task_type: TaskType, name: str) -> None:
    asked = [question["input_field"] for question in QUESTIONS if question["task_type"] == task_type]
    assert asked
    for question in asked:
        assert_sound(build(task_type, question, with_variant(task_type, name)), task_type)


@pytest.mark.parametrize("task_type", TaskType)
def test_the_model_is_shown_the_question_as_it_stands(task_type: TaskType) -> None:
    asked = [question["input_field"] for question in QUESTIONS if question["task_type"] == task_type]
    assert [question for question in asked if build(task_type, question).user != question] == []


@pytest.mark.parametrize(("task_type", "name"), VARIANTS)
def test_variants_change_words_and_no_label(task_type: TaskType, name: str) -> None:
    for question in QUESTIONS:
        if question["task_type"] == task_type and task_type is not TaskType.GENERATION:
            prompt = build(task_type, question["input_field"], with_variant(task_type, name))
            usual = build(task_type, question["input_field"])
            assert labels_of(prompt) == labels_of(usual)
            assert type(prompt.space) is type(usual.space)


@pytest.mark.parametrize("task_type", TaskType)
def test_a_question_always_makes_the_same_prompt(task_type: TaskType) -> None:
    for question in QUESTIONS[::10]:
        assert build(task_type, question["input_field"]) == build(task_type, question["input_field"])


def test_ratings_and_options_of_multiple_choice_are_one_digit_that_the_evaluator_reads() -> None:
    for question in QUESTIONS:
        labels = labels_of(build(TaskType.MULTIPLE_CHOICE, question["input_field"]))
        assert all(parse(TaskType.MULTIPLE_CHOICE, label) == int(label) for label in labels)


def options(labels: list[int], texts: tuple[str, ...] = ("alpha", "beta", "gamma", "delta")) -> str:
    lines = "\n".join(f"{label}. {text}" for label, text in zip(labels, texts, strict=False))
    return f"Which word is meant?\n{lines}\nAnswer:"


@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [1, 2, 3, 4], [0, 2, 3], [1, 2]])
def test_a_choice_offers_the_printed_numbers_and_no_other(labels: list[int]) -> None:
    prompt = build(TaskType.MULTIPLE_CHOICE, options(labels))
    texts = ("alpha", "beta", "gamma", "delta")[: len(labels)]
    assert prompt.space == Choice(tuple(map(str, labels)), texts)


def test_the_bare_question_of_a_choice_holds_no_option() -> None:
    prompt = build(TaskType.MULTIPLE_CHOICE, options([0, 1, 2, 3]))
    assert "Which word is meant?" in prompt.bare
    assert not any(text in prompt.bare for text in ("alpha", "beta", "gamma", "delta"))


def test_a_rating_offers_its_steps() -> None:
    prompt = build(TaskType.MULTIPLE_CHOICE, "Review: Broke at once.\nHow many stars, 1 to 5, did the reviewer give?")
    assert labels_of(prompt) == ("1", "2", "3", "4", "5")


def test_relations_become_sentences_about_the_quoted_queries_under_the_same_numbers() -> None:
    relations = ("irrelevant", "complement", "substitute", "narrowing")
    question = options([1, 2, 3, 4], relations).replace("Which word is meant?", 'Relation of "tent" to "tent pegs"?')
    prompt = build(TaskType.MULTIPLE_CHOICE, question, with_variant(TaskType.MULTIPLE_CHOICE, "relation_rewriting"))
    assert isinstance(prompt.space, Choice)
    assert prompt.space.labels == ("1", "2", "3", "4")
    assert all('"tent"' in text and '"tent pegs"' in text for text in prompt.space.texts)
    assert all(f"{label}. {text}" in prompt.user for label, text in zip("1234", prompt.space.texts, strict=True))


@pytest.mark.parametrize("size", [2, 3, 10, 15])
def test_a_retrieval_asks_for_three_different_candidates_or_all_of_fewer(size: int) -> None:
    lines = "\n".join(f"{number}. thing number{number}" for number in range(1, size + 1))
    prompt = build(TaskType.RETRIEVAL, f"Select the three products that fit 'thing number2'.\n{lines}\nOutput:")
    assert isinstance(prompt.space, Selection)
    assert prompt.space.labels == tuple(map(str, range(1, size + 1)))
    assert prompt.space.count == min(3, size)
    assert prompt.fallback.startswith("2")


def test_a_ranking_orders_all_candidates() -> None:
    prompt = build(
        TaskType.RANKING, options([1, 2, 3, 4]).replace("Which word is meant?", "Rank by relevance to 'beta'.")
    )
    assert prompt.space == Selection(("1", "2", "3", "4"), 4, ("alpha", "beta", "gamma", "delta"))
    assert prompt.fallback == "2, 1, 3, 4"


def test_an_entity_is_copied_from_the_query() -> None:
    question = "Find the phrase that is a brand in the query 'norvane steel bottle'.\nOutput:"
    prompt = build(TaskType.NAMED_ENTITY_RECOGNITION, question)
    assert isinstance(prompt.space, Spans)
    assert prompt.space.source == "norvane steel bottle"


def test_a_translation_keeps_numbers_and_model_names() -> None:
    title = "Norvane Kettle XK-200, 1.7 L, USB lamp, 2 pieces"
    prompt = build(
        TaskType.GENERATION, f"Translate the following product title into German.\nTitle: '{title}'\nGerman:"
    )
    assert isinstance(prompt.space, Text)
    assert {"XK-200", "1.7", "USB", "2"} <= set(prompt.space.keep)
    assert prompt.fallback == title


@pytest.mark.parametrize(
    "title",
    ["AB/CD/EF/GH/IJ/KL/MN/OP", "1/2\u00a03", "USB-HDMI-VGA-DVI-SATA-PCI-RAM", "12", "A", "(12) [USB]", "X" * 500],
)
def test_a_title_of_names_and_numbers_only_can_be_translated(title: str) -> None:
    question = f"Translate the following product title into German.\nTitle: '{title}'\nGerman:"
    assert_sound(build(TaskType.GENERATION, question), TaskType.GENERATION)


@pytest.mark.parametrize("task_type", TaskType)
@pytest.mark.parametrize("question", ["", " ", "???", "Hello", "\n\n\n", "水", "a" * 5000])
def test_a_question_that_cannot_be_read_is_asked_as_it_stands(task_type: TaskType, question: str) -> None:
    prompt = build(task_type, question)
    assert prompt.user == question
    assert_sound(prompt, task_type)
    assert_sound(plain_prompt(Question(question), task_type), task_type)


PIECES = (
    "\n1. ", "\n2. ", "\n3) ", "\n10. x", "0. ", "Query: ", "Review: ", "Title: ", "Input: ", "Aspect: ", "'", '"', "“",
    "translate into German: ", "rank", "1 to 5", "5 to 1", "the type 'brand'", "keyphrase", "complement",
    "Query keyword", "AB-CD-EF", "{first}", "[", "\\", "(?P<", "\n", "\n\n", ",", "\u00a0",
)  # fmt: skip
FRAGMENTS = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(PIECES)), max_size=14).map("".join)


@pytest.mark.parametrize("task_type", TaskType)
@given(question=FRAGMENTS)
def test_whatever_is_asked_the_prompt_is_sound(task_type: TaskType, question: str) -> None:
    for name in MODULES[task_type].VARIANTS:
        settings = replace(with_variant(task_type, name), external_information=3)
        assert_sound(build(task_type, question, settings), task_type)
