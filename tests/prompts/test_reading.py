"""Reading: lists in any style come back as they were printed; parts of a question are found or nothing is."""

import string
from collections.abc import Callable
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompts.reading import (
    Question,
    asks_to_extract,
    read_actions,
    read_aspect,
    read_category,
    read_entity_type,
    read_numbered_list,
    read_product,
    read_query,
    read_review,
    read_source_text,
)

WORDS = st.lists(st.text(string.ascii_lowercase, min_size=2, max_size=8), min_size=1, max_size=4).map(" ".join)
READERS: list[Callable[[Question], object]] = [
    asks_to_extract, read_actions, read_aspect, read_category, read_entity_type, read_product, read_query, read_review,
    read_source_text, attrgetter("count"), attrgetter("listed"), attrgetter("rating_range"),
    attrgetter("target_language"),
]  # fmt: skip


@pytest.mark.parametrize("style", ["{}. ", "{}) ", "({}) ", "[{}] ", " {}. ", "{}."])
@given(texts=st.lists(WORDS, min_size=3, max_size=15, unique=True), first=st.sampled_from([0, 1]))
def test_a_list_in_any_style_comes_back_as_printed(style: str, texts: list[str], first: int) -> None:
    lines = [style.format(number) + text for number, text in enumerate(texts, first)]
    listed = read_numbered_list("Which of these fits?\n" + "\n".join(lines) + "\nAnswer: ")
    assert listed is not None
    assert [item.text for item in listed.items] == texts
    assert [item.label for item in listed.items] == [str(number) for number in range(first, first + len(texts))]


def test_options_with_gaps_keep_their_numbers() -> None:
    listed = read_numbered_list("Which one?\n0. red\n1. blue\n3. green\nAnswer:")
    assert listed is not None
    assert [item.label for item in listed.items] == ["0", "1", "3"]


def test_numbers_inside_titles_are_no_items() -> None:
    listed = read_numbered_list('Pick one.\n1. 2.5" Lift Kit 12 x 57 g\n2. 3.5 mm jack, 4-pack\nOutput:')
    assert listed is not None
    assert [item.text for item in listed.items] == ['2.5" Lift Kit 12 x 57 g', "3.5 mm jack, 4-pack"]


def test_the_instruction_behind_the_list_is_no_part_of_the_last_item() -> None:
    listed = read_numbered_list("List:\n1. pan\n2. pot\nYou should output two numbers.\nOutput:")
    assert listed is not None
    assert listed.items[-1].text == "pot"
    assert "You should output" in listed.after


def test_what_stands_around_the_list_is_unchanged() -> None:
    prompt = "Before.\n1. pan\n2. pot\nAfter."
    listed = read_numbered_list(prompt)
    assert listed is not None
    assert prompt.startswith(listed.before)
    assert prompt.endswith(listed.after)


def test_a_list_inside_a_review_gives_way_to_the_options() -> None:
    prompt = (
        "Review: 1. too small 2. too late 3. torn\nWhich aspects?\n1. size\n2. delivery\n3. colour\n4. smell\nOutput:"
    )
    listed = read_numbered_list(prompt)
    assert listed is not None
    assert [item.text for item in listed.items] == ["size", "delivery", "colour", "smell"]


@pytest.mark.parametrize(
    ("prompt", "language"),
    [
        ("Write the title of 'Red Mug' for a German online shop.", "de"),
        ("Translate this English title into Japanese: Red Mug", "ja"),
        ("Übersetze den Titel 'Red Mug' ins Französische.", "fr"),
        ("Traduce al italiano el título 'Red Mug'.", "it"),
        ("What is a mug?", None),
    ],
)
def test_the_target_language_is_read(prompt: str, language: str | None) -> None:
    assert Question(prompt).target_language == language


@pytest.mark.parametrize(
    ("prompt", "steps"),
    [
        ("Rate the review on a scale of 1 to 5.", (1, 5)),
        ("Bewerte die Rezension von 1 bis 5 Sternen.", (1, 5)),
        ("What is a mug?", None),
    ],
)
def test_a_rating_range_is_read(prompt: str, steps: tuple[int, int] | None) -> None:
    assert Question(prompt).rating_range == steps


def test_the_query_is_read_with_its_apostrophe() -> None:
    prompt = "Rank the products for the query 'men's trail shoes'.\n1. a shoe\n2. a boot\n3. a hat\nOutput:"
    assert read_query(Question(prompt)) == "men's trail shoes"


def test_review_and_aspect_are_read() -> None:
    prompt = "Quote the keyphrase for the aspect from the review.\nReview: Soft sole, bad laces.\nAspect: sole\nOutput:"
    assert read_review(Question(prompt)) == "Soft sole, bad laces."
    assert read_aspect(Question(prompt)) == "sole"
    assert asks_to_extract(Question(prompt))


@pytest.mark.parametrize("reader", READERS)
@given(text=st.text(max_size=300))
def test_no_reader_raises_on_any_text(reader: object, text: str) -> None:
    assert callable(reader)
    reader(Question(text))


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ("From the ten products below choose three.\n1. a\n2. b\n3. c\n4. d", 3),
        ("Given a numbered list of 15 products, pick the 3 best.", 3),
        ("List up to two indices.", 2),
        ("Wähle aus den zehn Artikeln drei aus.", 3),
        ("Parmi les dix aspects, choisissez-en trois.", 3),
        ("De las diez búsquedas escoge las dos más probables.", 2),
        ("Scegli dall'elenco tre prodotti.", 3),
        ("次の十個から三つ選んでください。", 3),
        ("There is a comma between every two numbers.", None),
        ("Sum it up in eight words.", None),
    ],
)
def test_the_count_asked_for_is_read_and_not_the_size_of_the_list(prompt: str, count: int | None) -> None:
    assert Question(prompt).count == count


@pytest.mark.parametrize(
    ("prompt", "query"),
    [
        ("Search term: camp kettle\nWhich product fits?\n1. a\n2. b", "camp kettle"),
        ("Someone typed \"15'x15' tarp\" into the shop. Sort the hits.\n1. a\n2. b", "15'x15' tarp"),
        ("Eine Kundin sucht nach „Helm Damen“. Sortiere.\n1. a\n2. b", "Helm Damen"),
        ("Un client a tapé « tapis de yoga ». Classez.\n1. a\n2. b", "tapis de yoga"),
        ("ユーザーが「防水 イヤホン」と検索しました。\n1. a\n2. b", "防水 イヤホン"),
        ("Order the things.\n1. a\n2. b", None),
    ],
)
def test_the_query_is_read_in_any_language(prompt: str, query: str | None) -> None:
    assert read_query(Question(prompt)) == query


@pytest.mark.parametrize(
    ("prompt", "source", "entity"),
    [
        ("Extract the phrases of entity type 'brand'.\nQuery: acme sds drill", "acme sds drill", "brand"),
        ("Determine the 'Color' mentioned in the product title 'Acme men's mug red'.", "Acme men's mug red", "Color"),
        ("Welche Wörter im Titel „Bettwäsche grau“ nennen die Farbe?", "Bettwäsche grau", "Farbe"),
        ("検索語「綿 シャツ 白」のうち、色を表す語句を書き出してください。", "綿 シャツ 白", "色"),
    ],
)
def test_source_and_entity_type_are_read(prompt: str, source: str, entity: str) -> None:
    assert (read_query(Question(prompt)) or read_source_text(Question(prompt))) == source
    assert read_entity_type(Question(prompt)) == entity


@pytest.mark.parametrize(
    ("prompt", "category"),
    [
        ("Instructions: Tell me about this product category.\nInput: Salad Spinner\nOutput:", "Salad Spinner"),
        ("Input: Explain the product type Rake\nOutput:", "Rake"),
        ("Spiega che cos'è uno scolapiatti.", "scolapiatti"),
        ("What is the difference between a mug and a cup?", None),
    ],
)
def test_the_category_to_explain_is_read(prompt: str, category: str | None) -> None:
    assert read_category(Question(prompt)) == category


def test_a_session_is_read_in_order_and_a_purchase_is_no_session() -> None:
    session = (
        "Action sequence:\nQuery keyword 'tarp'\nClick on product 'Men's Tarp 18\" (8 ft)'\nNext queries:\n1. a\n2. b"
    )
    purchase = "A user bought the product 'Tarp'. Select what fits.\n1. a\n2. b"
    assert read_actions(Question(session)) == ("tarp", "Men's Tarp 18\" (8 ft)")
    assert read_actions(Question(purchase)) == ()
    assert read_product(Question(purchase)) == "Tarp"


def test_the_language_a_text_is_in_is_no_target() -> None:
    assert Question("Übersetze den Titel aus dem Spanischen ins Französische: 'Taza'").target_language == "fr"
    assert Question("Give me the German listing title for this English one: 'Mug'").target_language == "de"
    assert Question("Answer the question about the Italian coffee maker.").target_language is None


def test_numbered_lines_of_a_rated_review_are_no_options() -> None:
    prompt = (
        "Rate the review on a scale of 1 to 5.\nInput: I dislike some things about it.\n1. VERY loud\n2. It leaks\n"
        "Apart from that it is a decent machine that my family uses every day of the week.\nAnswer:"
    )
    assert read_numbered_list(prompt) is None
    assert Question(prompt).rating_range == (1, 5)
