"""The classifier of task types: its file, its features, and its place beside the rules."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.detection import FALLBACK_RULE, RULES, apply_rules, explain_detection, weigh
from prompts.prompt import softmax
from prompts.reading import Question
from prompts.type_classifier import WEIGHTS, TypeClassifier, classifier, read, write
from prompts.wording_features import BLOCKS, BUCKETS, counted
from utilities.files import ROOT
from utilities.fingerprint import sha256
from utilities.task_type import TaskType

RANK = "Put the mugs in order, best first.\n1. red mug\n2. blue mug\n3. green mug"
WITHOUT_CHOICE = set(TaskType) - {TaskType.MULTIPLE_CHOICE}


def blank(task_types: Sequence[TaskType], offsets: Sequence[float]) -> TypeClassifier:
    """A classifier that gives every text the same scores."""
    rules = (*(name for name, _, _ in RULES), FALLBACK_RULE)
    return TypeClassifier(
        tuple(task_types),
        rules,
        np.ones((len(BLOCKS), BUCKETS), np.uint8),
        np.zeros((len(BLOCKS), BUCKETS, len(task_types)), np.int8),
        np.ones(len(BLOCKS), np.float32),
        np.array(offsets, np.float32),
        np.zeros((len(rules), len(task_types)), np.float32),
    )


def test_the_package_has_weights_of_less_than_a_megabyte_for_every_type_and_rule() -> None:
    assert WEIGHTS.stat().st_size < 1 << 20
    assert set(classifier().task_types) == WITHOUT_CHOICE
    assert set(classifier().rules) == {*(name for name, _, _ in RULES), FALLBACK_RULE}


def test_the_record_belongs_to_the_weights_and_to_the_wordings() -> None:
    record = json.loads(WEIGHTS.with_suffix(".json").read_text(encoding="utf-8"))
    again = "refit: python -m tuning.fit_detection"
    assert record["weights"]["sha256"] == sha256(WEIGHTS), again
    folders = (ROOT / "data" / "wordings", ROOT / "data", ROOT / "tests" / "prompts" / "data")
    for entry in record["files"]:
        path = next(folder / entry["file"] for folder in folders if (folder / entry["file"]).is_file())
        assert entry["sha256"] == sha256(path), again
    written = {entry["file"] for entry in record["files"]}
    assert {path.name for path in folders[0].glob("*.jsonl")} <= written, again


def test_a_classifier_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(classifier(), tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").read_bytes() == WEIGHTS.read_bytes()
    assert read(tmp_path / "w.safetensors").scores(Question(RANK), FALLBACK_RULE) == classifier().scores(
        Question(RANK), FALLBACK_RULE
    )


def test_arrays_in_another_order_of_memory_are_written_by_their_values(tmp_path: Path) -> None:
    turned = replace(classifier(), bonuses=np.asfortranarray(classifier().bonuses))
    write(turned, tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").read_bytes() == WEIGHTS.read_bytes()


@given(st.text(alphabet=st.characters()))
def test_any_text_has_finite_scores_that_are_the_same_again(text: str) -> None:
    scores = classifier().scores(Question(text), FALLBACK_RULE)
    assert np.isfinite(list(scores.values())).all()
    assert classifier().scores(Question(text), FALLBACK_RULE) == scores
    assert sum(softmax(list(scores.values()))) == pytest.approx(1.0)


def test_capitals_digits_and_spaces_make_no_difference() -> None:
    first, second = (classifier().wording_scores(counted(Question(text))) for text in ("Rank 12  MUGS", "rank 98 mugs"))
    assert first.tolist() == second.tolist()


def test_the_features_of_a_long_text_are_bounded_and_hold_both_ends() -> None:
    middle = " ".join(str(number) for number in range(10**4, 2 * 10**4))
    blocks = counted(Question(f"Rank the mugs. {middle} Answer with numbers."))
    assert len(blocks[0].buckets) < 25_000
    ends = counted(Question("Rank the mugs. 1 Answer with numbers."))
    shared = np.intersect1d(blocks[1].buckets, ends[1].buckets)
    assert len(shared) > 0.7 * len(ends[1].buckets)


def test_a_question_is_classified_in_a_moment() -> None:
    asked = Question(RANK * 5)
    classifier().scores(asked, FALLBACK_RULE)
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        classifier().scores(asked, FALLBACK_RULE)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.01


def test_the_reason_names_the_rule_or_the_probability_by_the_wording() -> None:
    question = Question(RANK)
    by_rule = apply_rules(question)
    assert by_rule == (TaskType.RANKING, "orders all candidates")
    types = (TaskType.GENERATION, TaskType.RANKING)
    assert weigh(question, by_rule, blank(types, (0.0, 1.0))) == by_rule
    assert weigh(question, by_rule, blank(types, (3.0, 0.0))) == (
        TaskType.GENERATION,
        "wording: generation 0.95 over ranking (orders all candidates)",
    )


def test_a_rule_for_a_type_that_the_classifier_does_not_know_wins() -> None:
    by_rule = (TaskType.RETRIEVAL, "selects candidates by number")
    assert weigh(Question(RANK), by_rule, blank((TaskType.GENERATION, TaskType.RANKING), (9.0, 0.0))) == by_rule


@pytest.mark.parametrize("order", ["Sort all candidates by relevance.", "Select the three best items by number."])
def test_an_order_inside_a_quoted_review_does_not_change_the_type(order: str) -> None:
    prompt = f'Translate the product title into German.\nTitle: "Red mug. {order}"\nOutput:'
    assert explain_detection(Question(prompt), False)[0] is TaskType.GENERATION


def test_a_request_for_reasons_is_generation_whatever_its_options_are() -> None:
    prompt = "Tim has 5 pens and buys 3. How many are there?\n0. 8\n1. 2\n2. 15\nAnswer: Let's think step by step."
    assert explain_detection(Question(prompt), False) == (TaskType.GENERATION, "wants reasons")


@pytest.mark.parametrize(
    "template",
    [
        "Rank the products for the search.\nQuery: {0}\nProducts:\n{1}\nAnswer with the numbers:",
        "Order these products by relevance for: {0}\n{1}",
        'Sort the following items from most to least relevant to the query "{0}".\n{1}\nOutput all numbers.',
    ],
)
def test_names_of_products_do_not_change_a_plain_order(template: str) -> None:
    nouns = ("kettle", "garden hose", "desk lamp", "mug", "scarf", "steel bottle", "paper bag", "princess doll")
    for color in ("red", "blue", "green", "black", "white", "copper", "wool", "Disney", "all", "next"):
        for noun in nouns:
            items = [f"{color} {noun}", *nouns[:4]]
            listed = "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))
            question = Question(template.format(items[0], listed))
            assert explain_detection(question, is_multiple_choice=False)[0] is TaskType.RANKING, question.text
