import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from models.engines.interface import Answer
from models.item import decide
from prompts import ranking, retrieval
from prompts.prompt import Choice, Prompt, Selection, Spans, Text
from prompts.reading import Question
from prompts.settings import PromptSettings
from retrieval.knowledge import FittedSum, standardised
from retrieval.lexical import best_first, relevance, words

ITEMS = ("Copper teapot", "Steel water bottle", "Garden hose", "Water bottle brush", "Insulated steel bottle, water")
INSTRUCTION = "Give the numbers from best to worst, with commas between them.\nAnswer:"
HEADER = "[External information]"


def question(items: tuple[str, ...] = ITEMS, query: str = "steel water bottle") -> str:
    lines = "\n".join(f"{number}. {item}" for number, item in enumerate(items, start=1))
    return f"Rank the products by their relevance to the query.\nQuery: {query}\nProducts:\n{lines}\n{INSTRUCTION}"


def test_scores_are_those_worked_out_by_hand() -> None:
    """BM25 with the idf of BM25+, by hand: k1 = 1.5, b = 0.75, idf = log((N + 1) / n).

    Of the three documents of 2, 3 and 4 words (3 on average) two hold "red", the second one twice, and one holds "cup".
    """
    documents = ("red cup", "red red mug", "blue glass of milk")
    first = (math.log(4 / 2) + math.log(4 / 1)) * 1 * 2.5 / (1.5 * (0.25 + 0.75 * 2 / 3) + 1)
    second = math.log(4 / 2) * 2 * 2.5 / (1.5 * (0.25 + 0.75 * 3 / 3) + 2)
    assert first == pytest.approx(2.446402, abs=1e-6)
    assert second == pytest.approx(0.990210, abs=1e-6)
    assert relevance("red cup", documents) == pytest.approx((first, second, 0.0), abs=1e-6)


def test_a_word_that_most_candidates_hold_counts_for_them_where_okapi_counts_it_against_them() -> None:
    candidates = ("bottle steel", "bottle glass", "bottle brush", "bottle cap", "garden hose")
    scores = relevance("bottle", candidates)
    assert all(score > scores[4] for score in scores[:4])
    okapi = BM25Okapi([words(candidate) for candidate in candidates], epsilon=0)
    okapi.idf["bottle"] = math.log((5 - 4 + 0.5) / (4 + 0.5))
    assert all(score < 0 for score in okapi.get_scores(["bottle"])[:4])


def test_a_word_that_all_candidates_hold_never_counts_against_one() -> None:
    assert all(score > 0 for score in relevance("bottle", ("bottle a", "bottle b", "bottle c")))


@pytest.mark.parametrize(
    ("query", "candidates"),
    [
        ("", ("a cup", "a mug")),
        ("!?", ("a cup", "a mug")),
        ("cup", ("", "")),
        ("cup", ("!", "-")),
        ("lamp", ("cup", "mug")),
    ],
)
def test_nothing_to_compare_scores_zero(query: str, candidates: tuple[str, ...]) -> None:
    assert relevance(query, candidates) == (0.0, 0.0)


def test_no_candidates_get_no_scores() -> None:
    assert relevance("cup", ()) == ()


@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=6))
def test_every_candidate_gets_a_finite_score_that_is_never_negative(query: str, candidates: list[str]) -> None:
    scores = relevance(query, candidates)
    assert len(scores) == len(candidates)
    assert all(math.isfinite(score) and score >= 0 for score in scores)


def test_an_empty_candidate_scores_below_one_that_matches() -> None:
    scores = relevance("steel bottle", ("", "steel bottle", "hose"))
    assert best_first(scores)[0] == 1
    assert scores[0] <= scores[2]


def test_repeating_a_word_in_the_query_changes_nothing() -> None:
    assert relevance("cup cup red", ITEMS) == relevance("red cup", ITEMS)


@given(st.lists(st.integers(0, 3), max_size=8))
def test_equal_scores_keep_their_order(scores: list[int]) -> None:
    order = best_first(scores)
    assert sorted(order) == list(range(len(scores)))
    assert [(-scores[index], index) for index in order] == sorted((-score, i) for i, score in enumerate(scores))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ml 12oz", ["500ml", "500", "12oz", "12"]),
        ("Bottles, glass", ["bottle", "glass"]),
        ("gas bus", ["gas", "bus"]),
        ("ＵＳＢ ﾎﾞﾄﾙ ①", ["usb", "ボト", "トル", "1"]),
        ("水筒", ["水筒"]),
        ("水", ["水"]),
        ("ステンレス", ["ステ", "テン", "ンレ", "レス"]),
        ("Größe ÉTÉ", ["größe", "été"]),
        ("_ - . !", []),
    ],
)
def test_words_are_folded(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(("text", "whole", "parts"), [("XT-30", "xt-30", ["xt", "30"]), ("v2.0", "v2.0", ["v2", "0"])])
def test_model_numbers_stay_whole_and_are_given_in_parts(text: str, whole: str, parts: list[str]) -> None:
    found = words(text)
    assert whole in found
    assert set(parts) <= set(found)


@given(st.text(max_size=40))
def test_no_word_is_empty_or_holds_a_blank(text: str) -> None:
    assert all(word and not any(character.isspace() for character in word) for word in words(text))


def test_plural_and_singular_meet() -> None:
    assert set(words("water bottles")) == set(words("water bottle"))


@pytest.mark.parametrize("count", [1, 3, 5])
def test_external_information_stands_between_the_list_and_the_output_instruction(count: int) -> None:
    prompt = ranking.build(Question(question()), PromptSettings(external_information=count))
    before, shown = prompt.user.split(HEADER)
    assert prompt.user.count(HEADER) == 1
    assert before.rstrip().endswith(ITEMS[-1])
    assert shown.rstrip().endswith(INSTRUCTION)
    best = [ITEMS[index] for index in best_first(prompt.evidence["lexical"])]
    lines = [line.strip() for line in shown.splitlines() if line.strip() in ITEMS]
    assert lines == best[:count]


def test_more_external_information_than_candidates_shows_each_once() -> None:
    shown = ranking.build(Question(question()), PromptSettings(external_information=50)).user.split(HEADER)[1]
    assert sorted(line for line in shown.splitlines() if line in ITEMS) == sorted(ITEMS)


def test_no_external_information_leaves_the_question_as_it_is() -> None:
    assert ranking.build(Question(question()), PromptSettings(external_information=0)).user == question()


def test_candidates_without_a_word_of_the_query_are_not_called_relevant() -> None:
    assert ranking.build(Question(question(query="zzz")), PromptSettings(external_information=3)).user == question(
        query="zzz"
    )


def test_the_fallback_of_a_ranking_is_the_order_of_the_evidence() -> None:
    prompt = ranking.build(Question(question()), PromptSettings())
    assert prompt.fallback == ", ".join(str(index + 1) for index in best_first(prompt.evidence["lexical"]))
    assert prompt.fallback.startswith("2, 5")


def test_the_fallback_of_a_retrieval_is_the_best_three() -> None:
    prompt = retrieval.build(Question(question().replace("Query", "Review")), PromptSettings())
    assert prompt.fallback == ", ".join(str(index + 1) for index in best_first(prompt.evidence["lexical"])[:3])


SPACE = Selection(("1", "2", "3"), 3)
PROMPT = Prompt("s", "u", SPACE, fallback="1, 2, 3", kind="ranking", evidence={"lexical": (0.0, 1.0, 5.0)})


def shared(share: float) -> FittedSum:
    return FittedSum({"ranking": {"lexical+model": {"lexical": share, "model": 1 - share}}})


SCORES = st.lists(st.floats(-50, 0), min_size=3, max_size=3)


@given(SCORES)
def test_a_share_of_nought_is_the_order_of_the_model(scores: list[float]) -> None:
    fused = decide(PROMPT, Answer("x", tuple(scores)), shared(0.0)).text
    ranked = [scores[SPACE.labels.index(label)] for label in fused.split(", ")]
    assert ranked == pytest.approx(sorted(scores, reverse=True), abs=1e-9)


@given(SCORES)
def test_a_share_of_one_is_the_order_of_the_evidence(scores: list[float]) -> None:
    assert decide(PROMPT, Answer("x", tuple(scores)), shared(1.0)).text == "3, 2, 1"


def test_half_a_share_weighs_both_on_one_scale() -> None:
    """Both lists have the same spread after standardising, so a lead of 100 nats outweighs no more than one of 1."""
    assert decide(PROMPT, Answer("x", (-100.0, -300.0, -200.0)), shared(0.5)).text == "3, 1, 2"
    assert decide(PROMPT, Answer("x", (-1.0, -3.0, -2.0)), shared(0.5)).text == "3, 1, 2"


def test_a_retrieval_is_cut_to_its_count() -> None:
    prompt = Prompt(
        "s", "u", Selection(("1", "2", "3"), 2), fallback="1, 2", kind="ranking", evidence={"lexical": (0.0, 1.0, 5.0)}
    )
    assert decide(prompt, Answer("1, 2", (-1.0, -2.0, -3.0)), shared(1.0)).text == "3, 2"


def test_a_choice_takes_the_best_of_both() -> None:
    prompt = Prompt(
        "s", "u", Choice(("0", "1", "2")), fallback="0", kind="ranking", evidence={"lexical": (0.0, 1.0, 5.0)}
    )
    answers = [decide(prompt, Answer("0", (-1.0, -1.5, -9.0)), shared(share)).text for share in (0.0, 1.0)]
    assert answers == ["0", "2"]


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=20))
def test_standardised_scores_have_mean_nought_and_spread_one_or_are_all_nought(scores: list[float]) -> None:
    result = standardised(scores)
    if statistics.pstdev(scores) > 1e-3:
        assert statistics.fmean(result) == pytest.approx(0.0, abs=1e-6)
        assert statistics.pstdev(result) == pytest.approx(1.0, abs=1e-6)
    elif len(set(scores)) == 1:
        assert result == [0.0] * len(scores)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        (PROMPT, Answer("2, 1, 3")),
        (Prompt("s", "u", SPACE, fallback="1, 2, 3"), Answer("2, 1, 3", (-2.0, -1.0, -3.0))),
        (Prompt("s", "u", SPACE, fallback="1, 2, 3", evidence={}), Answer("2, 1, 3", (-2.0, -1.0, -3.0))),
        (Prompt("s", "u", Choice(("1", "2")), fallback="1"), Answer("2", (-1.0, -2.0))),
        (Prompt("s", "u", Choice(("1", "2")), fallback="1", evidence={"lexical": (0.0, 1.0)}), Answer("1")),
        (Prompt("s", "u", Spans("red mug", 1, 1), fallback="mug"), Answer("red")),
        (Prompt("s", "u", Text(5), fallback="none"), Answer("a mug")),
    ],
)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_has_no_scores_or_no_evidence_is_left_as_the_engine_gave_it(
    prompt: Prompt, answer: Answer, share: float
) -> None:
    assert decide(prompt, answer, shared(share)).text == answer.text
