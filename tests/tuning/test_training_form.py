"""The training form of a row: the package's own prompt, the worth of its answers, and how they become tokens."""

from dataclasses import replace

import pytest

from evaluation.questions import QuestionRow
from models.engines.answering.tokens import grow_tree
from prompts.prompt import Choice, Selection, Spans, Text
from prompts.settings import PromptSettings
from tests.tuning.form_rows import ALL, CHOICE, NAMED, RANKED, RANKING, WRITTEN, form
from tuning.examples import Example, Limits, Term
from tuning.objective import collate
from tuning.training_form import training_form

pytestmark = pytest.mark.slow


def test_each_task_type_becomes_the_packages_own_prompt_and_answer_space() -> None:
    assert [type(form(row).prompt.space) for row in ALL] == [Choice, Selection, Spans, Text]
    assert form(CHOICE).gains == (0.0, 0.0, 1.0)
    assert form(RANKED).gains == (0.0, 1.0, 0.1)
    assert form(NAMED).texts == ("bike helmet",)
    assert form(WRITTEN).texts == ("A pot.",)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (replace(CHOICE, output_field=7), "answer outside the options"),
        (replace(RANKED, output_field=[1.0, 0.0]), "answer outside the options"),
        (replace(RANKED, output_field=[0.0, 0.0, 0.0]), "answer outside the options"),
        (replace(NAMED, output_field=["skate board"]), "answer not in the text"),
        (replace(WRITTEN, output_field="  "), "empty answer"),
        (replace(WRITTEN, input_field=RANKING), "read as ranking"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: QuestionRow, reason: str) -> None:
    assert training_form(row, PromptSettings()) == reason


def test_the_gradient_reaches_a_candidates_tokens_with_its_weight() -> None:
    each = Example((grow_tree([5], [[6, 7], [8]]),), (Term(0, 1.0, 1), Term(0, -0.5)), (1.0,))
    batch = collate([each], 0)
    assert batch.tokens.tolist() == [7, 8]
    assert batch.matrix.tolist() == [[1.0, -0.5]]


def test_options_are_cut_to_what_all_of_them_may_take() -> None:
    assert Limits(option=32, options=120).of_option(4) == 30
    assert Limits(option=32, options=120).of_option(2) == 32
    assert Limits(option=32, options=120).of_option(100) == 6
