import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lexical import STEMMINGS, words
from utilities.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('2.5" hose', ["2.5in", "2.5", "hose"]),
        ("2.5” hose", ["2.5in", "2.5", "hose"]),
        ("2.5 inch hose", ["2.5in", "2.5", "hose"]),
        ("2.5-Inch hose", ["2.5in", "2.5", "hose"]),
        ("12 x 57 g", ["12x57g", "12", "57g", "57"]),
        ("12×57g", ["12x57g", "12", "57g", "57"]),
        ("1-1/2 in. pipe", ["1-1/2in", "1-1/2", "pipe"]),
        ("1½ inch pipe", ["1-1/2in", "1-1/2", "pipe"]),
        ("2x4 lumber", ["2x4", "2", "4", "lumber"]),
        ("1,000 pieces", ["1000pc", "1000"]),
        ("6' ladder", ["6ft", "6", "ladder"]),
        ("XT-30 drill", ["xt-30", "xt", "30", "drill"]),
        ("DCD771C2", ["dcd771c2"]),
        ("3-in-1 oil", ["3-in-1", "3", "in", "1", "oil"]),
        ("5 a day", ["5", "a", "day"]),
        ("コーヒー豆 200g", ["コー", "ーヒ", "ヒー", "ー豆", "200g", "200"]),
        ("57グラム", ["57", "グラ", "ラム"]),
    ],
)
def test_numbers_keep_their_units_and_model_numbers_their_parts(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("stemming", "text", "expected"),
    [
        ("none", "Water bottles", ["water", "bottles"]),
        ("plural", "Water bottles", ["water", "bottle"]),
        ("english", "running shoes", ["run", "shoe"]),
        ("german", "Gartenstühle", ["gartenstuhl"]),
        ("spanish", "zapatillas rojas", ["zapatill", "roj"]),
        ("english", "57 g", ["57g", "57"]),
    ],
)
def test_endings_are_dropped_as_the_setting_says(stemming: str, text: str, expected: list[str]) -> None:
    assert words(text, stemming) == expected


def test_an_unknown_stemming_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"klingon.*choose one of: none, plural"):
        words("a", "klingon")


@given(st.text(max_size=200), st.sampled_from(STEMMINGS))
def test_any_text_has_words_without_blanks(text: str, stemming: str) -> None:
    assert all(word and not any(map(str.isspace, word)) for word in words(text, stemming))


@given(st.integers(1, 10**6), st.sampled_from(["oz", "ounces", "ml", "feet", "inches", "pack"]))
def test_a_blank_between_number_and_unit_changes_nothing(number: int, unit: str) -> None:
    assert words(f"{number} {unit}") == words(f"{number}{unit}") == words(f"{number}-{unit}")
