"""Markup that is nested as deeply as JSON can be, or that spells no characters, is read without an error."""

import sys

import pytest

from prompts.reading import Question
from prompts.reading.question import LONGEST


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"k":', "}")])
def test_no_depth_of_nesting_raises(opening: str, closing: str) -> None:
    # JSON that is just shallow enough to be read may be too deep to be written again.
    for depth in range(sys.getrecursionlimit() - 400, sys.getrecursionlimit() + 10):
        inner = "1" if closing == "}" else ""
        text = f'{{"task": "rank", "items": {opening * depth}{inner}{closing * depth}}}'
        assert Question(text).text


def test_half_a_surrogate_pair_that_json_spells_becomes_a_question_mark() -> None:
    question = Question(r'{"query": "red \ud800 mug", "items": ["1. \udfff", "2. b", "3. c"]}')
    assert question.text.encode("utf-8").decode("utf-8") == "query: red ? mug\nitems:\n1. ?\n2. b\n3. c"


def test_a_layout_is_of_bounded_length() -> None:
    rows = ", ".join(f'"{number}": "x"' for number in range(2000))
    assert len(Question(f'{{"task": "rank", "items": {{{rows}}}}}').text) <= LONGEST + 1
