from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.prompt import AnswerSpace, Choice, Selection, Spans, Text, admits

CHOICE = Choice(("0", "1", "10"))
SELECTION = Selection(("1", "2", "10"), 2)
SPANS = Spans("Red steel Mug, red lid. Large red-brown mug", max_spans=2, max_words=3)
TEXT = Text(max_words=4, stop=("\n", "END"), keep=("XK-200", "5 l"))


@pytest.mark.parametrize("answer", ["0", "1", "10"])
def test_a_choice_admits_its_labels(answer: str) -> None:
    assert admits(CHOICE, answer)


@pytest.mark.parametrize("answer", ["", " 1", "1 ", "1.", "2", "01", "1, 0", "one", "１"])
def test_a_choice_admits_nothing_else(answer: str) -> None:
    assert not admits(CHOICE, answer)


@pytest.mark.parametrize("answer", ["1, 2", "10,1", "2 , 10", "2,\n1"])
def test_a_selection_admits_different_labels_with_any_space_around_commas(answer: str) -> None:
    assert admits(SELECTION, answer)


@pytest.mark.parametrize(
    ("answer", "trap"),
    [
        ("1, 1", "a repeated label"),
        ("1", "too few"),
        ("1, 2, 10", "too many"),
        ("1, 2,", "a comma at the end"),
        (",1, 2", "a comma at the beginning"),
        (" 1, 2", "a space at the beginning"),
        ("1, 2 ", "a space at the end"),
        ("1 2", "no comma"),
        ("1, 3", "a label that is not offered"),
        ("1; 2", "another separator"),
        ("[1, 2]", "brackets"),
        ("", "nothing"),
    ],
)
def test_a_selection_refuses(answer: str, trap: str) -> None:
    assert not admits(SELECTION, answer), trap


@pytest.mark.parametrize("answer", ["Red", "red", "Red steel Mug", "Red steel Mug, red lid", "red-brown,Large"])
def test_spans_admit_phrases_of_the_source(answer: str) -> None:
    assert admits(SPANS, answer)


@pytest.mark.parametrize(
    ("answer", "trap"),
    [
        ("Red, red", "a repetition in another case"),
        ("mug, mug", "a repetition"),
        ("green", "a word that is not in the source"),
        ("red steel", "another case than the source's"),
        ("Red steel Mug, red lid, Large", "too many phrases"),
        ("red lid. Large red-brown", "too many words"),
        ("red, ", "an empty phrase"),
        (", red", "an empty phrase at the beginning"),
        ("", "nothing"),
        (" ", "a blank, though the source holds one"),
    ],
)
def test_spans_refuse(answer: str, trap: str) -> None:
    assert not admits(SPANS, answer), trap


def test_a_comma_inside_a_phrase_parts_it() -> None:
    """The evaluator splits at commas, so "Mug, red lid" is two phrases, both of the source; three are too many."""
    assert admits(Spans("Mug, red lid", 2, 2), "Mug, red lid")
    assert not admits(Spans("Mug, red lid", 1, 3), "Mug, red lid")


@pytest.mark.parametrize("answer", ["XK-200 5 l", "Kettle XK-200, 5 l", "5 l XK-200s"])
def test_text_admits_what_keeps_the_kept_phrases(answer: str) -> None:
    assert admits(TEXT, answer)


@pytest.mark.parametrize(
    ("answer", "trap"),
    [
        ("XK-200", "a phrase to keep is missing"),
        ("xk-200 5 l", "a phrase to keep in another case"),
        ("The kettle XK-200, 5 l", "too many words"),
        ("XK-200\n5 l", "a stop"),
        ("XK-200 5 l END", "another stop"),
        ("", "nothing"),
    ],
)
def test_text_refuses(answer: str, trap: str) -> None:
    assert not admits(TEXT, answer), trap


@pytest.mark.parametrize("answer", ["", " ", "\t\n", "\u3000"])
def test_blank_text_is_no_answer(answer: str) -> None:
    assert not admits(Text(5, stop=()), answer)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Choice(()),
        lambda: Choice(("1", "1")),
        lambda: Choice(("1", "2"), ("one",)),
        lambda: Selection(("1", "2"), 0),
        lambda: Selection(("1", "2"), 3),
        lambda: Selection((), 1),
        lambda: Selection(("1", "2", "1"), 1),
        lambda: Spans(" \n", 1, 1),
        lambda: Spans("mug", 0, 1),
        lambda: Spans("mug", 1, 0),
        lambda: Text(0),
        lambda: Text(2, keep=("XK 200 L",)),
    ],
)
def test_a_space_without_a_member_cannot_be_made(make: Callable[[], AnswerSpace]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        make()


LABELS = st.lists(st.integers(0, 20).map(str), min_size=1, max_size=12, unique=True).map(tuple)


@given(st.data())
def test_every_permutation_of_enough_labels_is_admitted(data: st.DataObject) -> None:
    labels = data.draw(LABELS)
    order = data.draw(st.permutations(labels))
    count = data.draw(st.integers(1, len(labels)))
    space = Selection(labels, count)
    assert admits(space, ", ".join(order[:count]))
    assert not admits(space, ", ".join([*order[: count - 1], order[0]])) or count == 1
    assert not admits(space, ", ".join([*order[:count], "99"]))
