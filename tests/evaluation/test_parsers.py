import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.parsers import MAX_CHARACTERS, parse
from utilities.task_type import TaskType

CHOICE = TaskType.MULTIPLE_CHOICE
RANKING = TaskType.RANKING
RETRIEVAL = TaskType.RETRIEVAL
NER = TaskType.NAMED_ENTITY_RECOGNITION
GENERATION = TaskType.GENERATION

NUMERIC = "1٣५2五½²①Ⅷ, \n-abc"


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("2", 2),
        (" \n3 because", 3),
        ("\u30002", 2),
        ("10", 1),
        ("0", 0),
        ("٣", 3),
        ("Answer: 2", -1),
        ("(2)", -1),
        ("**2**", -1),
        ("-1", -1),
        ("²", -1),
        ("①", -1),
        ("五", -1),
        ("", -1),
        (" \n", -1),
    ],
)
def test_a_choice_is_the_first_character_that_is_not_blank(answer: str, choice: int) -> None:
    assert parse(CHOICE, answer) == choice


@pytest.mark.parametrize(
    ("answer", "ranked"),
    [
        ("3,1,5,2,4", [3, 1, 5, 2, 4]),
        ("[3, 1, 5, 2, 4]", [3, 1, 5, 2, 4]),
        (",3,,1,", [3, 1]),
        ("2, 1, none, 3", [2, 1, 3]),
        ("1\n2\n3", []),
        ("1,2\n3,4", [1, 4]),
    ],
)
def test_a_ranking_is_read_from_digits_commas_and_spaces_alone(answer: str, ranked: list[int]) -> None:
    assert parse(RANKING, answer) == ranked


def test_a_repeated_rank_empties_the_list() -> None:
    assert parse(RANKING, "1, 2, 2, 3") == []


def test_a_repetition_after_the_fifth_rank_is_cut_off_unseen() -> None:
    assert parse(RANKING, "1,2,3,4,5,1") == [1, 2, 3, 4, 5]


def test_numbers_over_five_are_dropped_before_ranks_are_counted() -> None:
    assert parse(RANKING, "9,9,1,12,2,3,4,5") == [1, 2, 3, 4, 5]


def test_a_number_in_front_of_a_ranking_swallows_its_first_item() -> None:
    assert parse(RANKING, "Ranking of 5 products: 1,2,3,4,5") == [2, 3, 4, 5]


def test_zero_is_a_rank() -> None:
    assert parse(RANKING, "0,1") == [0, 1]


@pytest.mark.parametrize("task_type", [RANKING, RETRIEVAL])
def test_numbers_without_a_comma_between_them_are_lost(task_type: TaskType) -> None:
    assert parse(task_type, "1 2") == []


def test_a_sentence_around_a_retrieval_swallows_an_item() -> None:
    assert parse(RETRIEVAL, "The 3 products are 3, 8, 9") == [8, 9]


def test_a_retrieval_keeps_its_first_three_items_and_wastes_places_on_repetitions() -> None:
    assert parse(RETRIEVAL, "7, 7, 100, 2") == [7, 7, 100]


@pytest.mark.parametrize("task_type", [RANKING, RETRIEVAL])
@pytest.mark.parametrize("numeric", ["²", "½", "①", "Ⅷ", "五"])
def test_a_numeric_character_that_is_no_digit_spoils_its_item(task_type: TaskType, numeric: str) -> None:
    assert parse(task_type, f"1{numeric}, 2, 3") == [2, 3]


@pytest.mark.parametrize("task_type", [RANKING, RETRIEVAL])
def test_digits_of_other_scripts_are_numbers(task_type: TaskType) -> None:
    assert parse(task_type, "٣, ２, 1") == [3, 2, 1]


def test_an_item_of_more_digits_than_python_converts_is_skipped() -> None:
    too_long = "9" * (sys.get_int_max_str_digits() + 1)
    assert parse(RETRIEVAL, f"{too_long}, 4") == [4]


@pytest.mark.parametrize(
    ("answer", "phrases"),
    [
        ("red, dress", ["red", "dress"]),
        ("['red', 'dress']", ["red", "dress"]),
        (" ['red']", ["red"]),
        ("[' red ']", [" red "]),
        ("[]", []),
        ("[red, dress]", ["[red", "dress]"]),
        ("\n['red', 'dress']", ["red", "dress"]),
        ("['red', 5]", ["['red'", "5]"]),
        ("[['red'], 'dress']", ["[['red']", "'dress']"]),
        ("('red', 'dress')", ["('red'", "'dress')"]),
        ("{'red', []}", ["{'red'", "[]}"]),
        ("'red'", ["'red'"]),
        ("\n, red,, dress ,", ["red", "dress"]),
        (" \n", []),
        ("red\x00, dress", ["red\x00", "dress"]),
        ("\ud800, dress", ["\ud800", "dress"]),
        ("Answer: red, dress", ["Answer: red", "dress"]),
    ],
)
def test_phrases_are_a_list_literal_or_what_stands_between_commas(answer: str, phrases: list[str]) -> None:
    assert parse(NER, answer) == phrases


@pytest.mark.parametrize(
    "answer",
    ["(" * 5000, "[" * 4999 + "]", "-" * 4999 + "1", "9" * 5000, "[" + "9" * 4900 + "]", "1" * 400 + "+1j"],
)
def test_text_that_defeats_the_literal_reader_is_one_phrase(answer: str) -> None:
    assert parse(NER, answer) == [answer]


def test_phrases_are_never_evaluated() -> None:
    assert parse(NER, "[str(1)]") == ["[str(1)]"]


@pytest.mark.parametrize("answer", ["5in", r"'\d'", "1if 1else 2"])
def test_reading_phrases_warns_of_nothing(answer: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse(NER, answer) == [answer]


def test_generated_text_is_stripped_and_keeps_its_lines() -> None:
    assert parse(GENERATION, "\n two\n\nlines \n") == "two\n\nlines"


@pytest.mark.parametrize(
    ("task_type", "tail", "nothing"),
    [(CHOICE, "1", -1), (RANKING, "1", []), (RETRIEVAL, "1", []), (NER, "red", []), (GENERATION, "red", "")],
)
def test_nothing_counts_after_the_first_5000_characters(task_type: TaskType, tail: str, nothing: object) -> None:
    assert parse(task_type, " " * MAX_CHARACTERS + tail) == nothing
    assert parse(task_type, " " * (MAX_CHARACTERS - len(tail)) + tail) != nothing


@given(st.sampled_from(TaskType), st.text() | st.text(NUMERIC, max_size=40))
def test_every_answer_is_read_as_the_kind_that_its_task_type_asks_for(task_type: TaskType, answer: str) -> None:
    kinds = {CHOICE: int, GENERATION: str}
    assert type(parse(task_type, answer)) is kinds.get(task_type, list)


@given(st.text() | st.text(NUMERIC, max_size=40))
def test_a_ranking_never_repeats_nor_exceeds_five(answer: str) -> None:
    ranked = parse(RANKING, answer)
    assert isinstance(ranked, list)
    assert len(ranked) == len(set(ranked)) <= 5
    assert set(ranked) <= set(range(6))


@given(st.permutations([1, 2, 3, 4, 5]), st.sampled_from([",", ", ", " , ", ",\n"]))
def test_a_permutation_survives_ranking(order: list[int], separator: str) -> None:
    assert parse(RANKING, separator.join(map(str, order))) == order


@given(st.lists(st.integers(0, 10**6), max_size=8), st.sampled_from([",", ", ", ",\n"]))
def test_the_first_three_numbers_survive_retrieval(items: list[int], separator: str) -> None:
    assert parse(RETRIEVAL, separator.join(map(str, items))) == items[:3]


@given(st.lists(st.text(max_size=20), max_size=8))
def test_a_printed_list_of_strings_survives_named_entity_recognition(phrases: list[str]) -> None:
    assert parse(NER, repr(phrases)) == phrases


@given(st.lists(st.text("abc é'", min_size=1).filter(str.strip), max_size=8))
def test_phrases_joined_by_commas_survive_named_entity_recognition(phrases: list[str]) -> None:
    joined = ", ".join(phrases)
    if not joined.startswith("'"):
        assert parse(NER, joined) == [phrase.strip() for phrase in phrases]
