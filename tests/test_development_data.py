import json
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from utilities.task_type import TaskType

PATH = Path(__file__).parents[1] / "data" / "development.json"

PUBLIC_KINDS = {
    "category_description",
    "category_of_attribute",
    "review_snippets",
    "query_entities",
    "title_attribute",
    "review_keyphrase",
    "review_aspects",
    "totals_and_units",
    "event_inference",
    "complementary_category",
    "query_relation",
    "product_ranking",
    "next_query",
    "also_bought",
    "review_rating",
    "product_keywords",
    "title_translation",
    "same_product_other_language",
}
FURTHER_KINDS = {
    "text_in_other_languages",
    "co_purchase_reason",
    "shopping_intent",
    "price_arithmetic",
    "unit_conversion",
    "product_question",
    "product_description",
    "query_rewriting",
    "brand_and_product_line",
    "size_choice",
    "review_title",
    "product_relation",
}
TRACKS = {
    "amazon-kdd-cup-24-understanding-shopping-concepts",
    "amazon-kdd-cup-24-shopping-knowledge-reasoning",
    "amazon-kdd-cup-24-user-behavior-alignment",
    "amazon-kdd-cup-24-multi-lingual-abilities",
}
METRICS = {
    TaskType.MULTIPLE_CHOICE: {"accuracy"},
    TaskType.RETRIEVAL: {"hit rate@3"},
    TaskType.RANKING: {"ndcg"},
    TaskType.NAMED_ENTITY_RECOGNITION: {"micro f1"},
    TaskType.GENERATION: {"sent-transformer", "multilingual-sent-transformer", "rougel", "bleu", "jp-bleu"},
}
# Frequent words of a language that are no words of the other four.
MARKERS = {
    "English": "the of which what is and with from how",
    "German": "der und mit für welche wie ist eine zu nur das nach",
    "French": "les avec et pour une pas est ce vous cet cette quelle dans qui",
    "Spanish": "el los y cuál cuántos para qué las su",
    "Italian": "il di della che gli quale è nella quanta quanto dal",
}
KANA = re.compile(r"[\u3040-\u30ff]")
LABEL = re.compile(r"^\(?(\d{1,2})[.):] (?=\S)", re.MULTILINE)


class Question(TypedDict):
    input_field: str
    output_field: Any
    task_name: str
    task_type: str
    metric: str
    is_multiple_choice: bool
    track: str


@cache
def questions() -> tuple[Question, ...]:
    return tuple(json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines())


def of_type(task_type: TaskType) -> list[Question]:
    return [question for question in questions() if question["task_type"] == task_type]


def printed_labels(question: Question) -> list[int]:
    return [int(label) for label in LABEL.findall(question["input_field"])]


def language(question: Question) -> str:
    """The language of a question without its options: Japanese where there is kana, else by marker words."""
    asked = "\n".join(line for line in question["input_field"].splitlines() if not LABEL.match(line))
    answer = question["output_field"]
    text = f"{asked}\n{answer}" if isinstance(answer, str) else asked
    if KANA.search(text):
        return "Japanese"
    words = set(re.findall(r"\w+", text.lower()))
    return max(MARKERS, key=lambda name: len(words & set(MARKERS[name].split())))


def test_every_line_has_exactly_the_official_fields() -> None:
    for question in questions():
        assert set(question) == set(Question.__annotations__)
        assert all(isinstance(question[name], str) for name in ("input_field", "task_name", "metric"))
        assert question["input_field"].strip()


def test_there_are_at_least_150_questions_and_none_occurs_twice() -> None:
    texts = [" ".join(question["input_field"].split()) for question in questions()]
    assert len(texts) >= 150
    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_every_kind_is_there_often_enough() -> None:
    counts = Counter(question["task_name"] for question in questions())
    assert set(counts) == PUBLIC_KINDS | FURTHER_KINDS
    assert min(counts[kind] for kind in PUBLIC_KINDS) >= 6
    assert min(counts[kind] for kind in FURTHER_KINDS) >= 3


def test_a_kind_has_one_task_type_and_one_track() -> None:
    traits = defaultdict(set)
    for question in questions():
        traits[question["task_name"]].add((question["task_type"], question["track"]))
    assert {kind: found for kind, found in traits.items() if len(found) > 1} == {}
    assert {track for found in traits.values() for _, track in found} == TRACKS


def test_the_metric_and_the_multiple_choice_mark_fit_the_task_type() -> None:
    for question in questions():
        task_type = TaskType(question["task_type"])
        assert question["metric"] in METRICS[task_type], question["input_field"]
        assert question["is_multiple_choice"] is (task_type is TaskType.MULTIPLE_CHOICE)


def test_a_multiple_choice_answer_is_one_of_the_printed_digits() -> None:
    for question in of_type(TaskType.MULTIPLE_CHOICE):
        labels = printed_labels(question)
        if question["task_name"] == "review_rating":
            assert labels == []
            labels = [1, 2, 3, 4, 5]
        assert len(set(labels)) == len(labels) >= 3, question["input_field"]
        assert type(question["output_field"]) is int
        assert question["output_field"] in labels, question["input_field"]
        assert max(labels) <= 9


def test_no_option_is_printed_twice() -> None:
    for question in questions():
        options = [line for line in question["input_field"].splitlines() if LABEL.match(line)]
        assert len({LABEL.sub("", option) for option in options}) == len(options), question["input_field"]


def test_no_label_holds_more_than_its_share_of_the_right_answers() -> None:
    answers = Counter(
        question["output_field"]
        for question in of_type(TaskType.MULTIPLE_CHOICE)
        if printed_labels(question) == [0, 1, 2, 3]
    )
    assert set(answers) == {0, 1, 2, 3}
    assert max(answers.values()) <= 0.45 * answers.total()


def test_ratings_use_the_whole_scale() -> None:
    ratings = [question for question in questions() if question["task_name"] == "review_rating"]
    assert {question["output_field"] for question in ratings} == {1, 2, 3, 4, 5}


def test_a_retrieval_answer_names_one_to_three_different_items_of_a_list_of_ten_or_fifteen() -> None:
    for question in of_type(TaskType.RETRIEVAL):
        labels, truth = printed_labels(question), question["output_field"]
        assert labels == list(range(labels[0], labels[0] + len(labels))), question["input_field"]
        assert len(labels) in {10, 15}
        assert len(set(truth)) == len(truth)
        assert set(truth) <= set(labels)
        assert len(truth) == 3 or (question["task_name"] == "next_query" and len(truth) == 1)


def test_a_ranking_grades_five_printed_products_on_at_least_two_levels() -> None:
    for question in of_type(TaskType.RANKING):
        weights = question["output_field"]
        assert printed_labels(question) == [1, 2, 3, 4, 5], question["input_field"]
        assert len(weights) == 5
        assert set(weights) <= {1, 0.1, 0.01, 0}
        assert len(set(weights)) >= 2


def test_entity_phrases_stand_in_the_question() -> None:
    for question in of_type(TaskType.NAMED_ENTITY_RECOGNITION):
        phrases, text = question["output_field"], question["input_field"].lower()
        assert phrases
        assert all(phrase.strip() and "," not in phrase for phrase in phrases)
        assert all(phrase.lower() in text for phrase in phrases), text


def test_a_keyphrase_is_copied_from_its_review() -> None:
    keyphrases = [question for question in questions() if question["metric"] == "rougel"]
    assert {question["task_name"] for question in keyphrases} == {"review_keyphrase"}
    for question in keyphrases:
        assert question["output_field"].lower() in question["input_field"].lower()


def test_a_generated_answer_is_one_line_of_text_and_its_metric_knows_the_language() -> None:
    for question in of_type(TaskType.GENERATION):
        answer = question["output_field"]
        assert answer.strip() == answer != ""
        assert "\n" not in answer
        if question["task_name"] == "title_translation":
            assert question["metric"] == ("jp-bleu" if KANA.search(answer) else "bleu")
        elif question["metric"] != "rougel":
            multilingual = question["metric"] == "multilingual-sent-transformer"
            assert multilingual is (language(question) != "English"), question["input_field"]


def test_six_languages_have_at_least_ten_questions_each() -> None:
    counts = Counter(language(question) for question in questions())
    assert min(counts[name] for name in (*MARKERS, "Japanese")) >= 10, counts
