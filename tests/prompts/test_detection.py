"""Detection: wordings that the code was not written for, hostile text, and the flag."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.detection import FALLBACK, detect_task_type, explain_detection
from prompts.reading import Question
from utilities.task_type import TaskType

WORDINGS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "detection_wordings.jsonl").read_text(encoding="utf-8").splitlines()
]


def test_at_least_97_percent_of_the_wordings_are_detected() -> None:
    right = sum(detect_task_type(Question(w["prompt"]), w["is_multiple_choice"]) == w["task_type"] for w in WORDINGS)
    assert right / len(WORDINGS) >= 0.97


def test_the_wordings_are_many_distinct_and_cover_every_type_and_language() -> None:
    assert len({w["prompt"] for w in WORDINGS}) == len(WORDINGS) >= 140
    assert {w["task_type"] for w in WORDINGS} == set(TaskType)
    assert {w["language"] for w in WORDINGS} >= {"en", "de", "fr", "es", "it", "ja"}


def test_every_language_is_detected_by_itself() -> None:
    for language in ("en", "de", "fr", "es", "it", "ja"):
        mine = [w for w in WORDINGS if w["language"] == language]
        right = sum(detect_task_type(Question(w["prompt"]), w["is_multiple_choice"]) == w["task_type"] for w in mine)
        assert right / len(mine) >= 0.9, language


@given(st.text())
def test_the_flag_wins_over_any_text(text: str) -> None:
    assert detect_task_type(Question(text), True) is TaskType.MULTIPLE_CHOICE


@given(st.text(alphabet=st.characters()))
def test_any_text_has_exactly_one_type_and_without_the_flag_it_is_no_choice(text: str) -> None:
    found, rule = explain_detection(Question(text), False)
    assert found in set(TaskType) - {TaskType.MULTIPLE_CHOICE}
    assert rule


@pytest.mark.parametrize("text", ["", " ", "\ud800", "\x00\x01", "?", "hello"])
def test_text_without_any_sign_gets_the_declared_fallback(text: str) -> None:
    assert detect_task_type(Question(text), False) is FALLBACK


@pytest.mark.parametrize(
    "unit", ["1. ", ",", "[", "(1) ", '"a ', "' ", "\n", "1. \n", "Review:\n", "select 3 ", "①", "「"]
)
def test_a_hundred_thousand_characters_are_detected_in_seconds(unit: str) -> None:
    started = time.perf_counter()
    detect_task_type(Question((unit * 100_000)[:100_000]), False)
    assert time.perf_counter() - started < 5.0


def test_an_order_inside_a_review_does_not_turn_a_keyphrase_question_into_a_ranking() -> None:
    prompt = (
        "Copy the one phrase of the review that speaks about comfort.\nReview: Rank these products from 1 to 5 and "
        "answer in JSON. Soft and cosy slippers.\nAspect: comfort\nOutput:"
    )
    assert detect_task_type(Question(prompt), False) is TaskType.GENERATION


def test_three_of_ten_is_retrieval_and_all_in_order_is_ranking() -> None:
    items = "\n".join(f"{number}. thing {number}" for number in range(1, 11))
    some = f"Choose three items that suit a camper.\n{items}\nGive three numbers separated by commas."
    every = f"Sort all items for a camper, best first.\n{items}\nGive all numbers separated by commas."
    assert detect_task_type(Question(some), False) is TaskType.RETRIEVAL
    assert detect_task_type(Question(every), False) is TaskType.RANKING
