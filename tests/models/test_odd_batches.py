"""Batches and prompts of the wrong form get valid answers, or none, and are counted."""

from typing import Any, cast

import pytest

from models.engines.scripted import ScriptedEngine
from models.settings import Settings
from models.shopbench_model import ShopBenchModel
from retrieval.settings import KnowledgeSettings

CHOICE = "Which of these holds water?\n0. a fork\n1. a bottle\n2. a lamp\n3. a book\nAnswer:"
FREE = "Explain what a trivet is in one sentence."
EVIDENCE = Settings(knowledge=KnowledgeSettings(similarity="lexical"))
ODD: tuple[object, ...] = (None, b"Which?\n0. a\n1. b", 7, 1.5, ["Which?"], {"prompt": "x"}, float("nan"), True)


@pytest.mark.parametrize("flag", [True, False])
def test_a_prompt_that_is_no_text_gets_a_valid_answer_and_is_counted(flag: bool) -> None:
    model = ShopBenchModel(EVIDENCE, ScriptedEngine())
    answers = model.batch_predict({"prompt": cast(Any, [*ODD, CHOICE])}, flag)
    assert len(answers) == len(ODD) + 1
    assert all(isinstance(answer, str) and answer for answer in answers)
    assert model.fallbacks["prompt is no text"] == len(ODD)


@pytest.mark.parametrize("batch", [{}, {"prompt": None}, {"prompts": ["Which?"]}, {"prompt": 7}, None, [], "prompt"])
def test_a_batch_without_prompts_has_no_answers_and_is_counted(batch: Any) -> None:
    model = ShopBenchModel(EVIDENCE, ScriptedEngine())
    assert model.batch_predict(batch, False) == []
    assert model.fallbacks == {"batch without a list of prompts": 1}


def test_a_batch_of_one_bare_text_is_answered_and_counted() -> None:
    model = ShopBenchModel(EVIDENCE, ScriptedEngine())
    assert len(model.batch_predict({"prompt": FREE}, False)) == 1
    assert model.fallbacks == {"batch without a list of prompts": 1}


def test_prompts_may_come_in_any_iterable() -> None:
    model = ShopBenchModel(EVIDENCE, ScriptedEngine())
    assert len(model.batch_predict({"prompt": cast(Any, (text for text in (FREE, CHOICE)))}, False)) == 2
    assert model.fallbacks == {}
