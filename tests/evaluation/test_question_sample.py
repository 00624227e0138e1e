"""Samples of questions are stratified by task, seeded, and free of wording that must stay unseen."""

from dataclasses import replace

from evaluation.question_sample import Overlap, draw_sample
from evaluation.questions import QuestionRow
from utilities.task_type import TaskType


def question(text: str, task: str = "task") -> QuestionRow:
    return QuestionRow(text, "?", task, TaskType.GENERATION, "rougel", False, "track")


def test_a_sample_is_stratified_seeded_and_without_repetitions() -> None:
    asked = [question(f"{task} {index % 30}", task) for task in ("a", "b") for index in range(40)]
    sample = draw_sample(asked, 10, 1, Overlap([]))
    texts = [member.input_field for member in sample["a"]]
    assert {task: len(members) for task, members in sample.items()} == {"a": 10, "b": 10}
    assert len(set(texts)) == 10
    assert draw_sample(asked, 10, 1, Overlap([])) == sample
    assert draw_sample(asked, 10, 2, Overlap([])) != sample
    assert draw_sample(asked[:40], 10, 1, Overlap([]))["a"] == sample["a"]


def test_a_task_of_two_metrics_makes_two_strata() -> None:
    asked = [question("a", "MT"), replace(question("b", "MT"), metric="bleu")]
    assert set(draw_sample(asked, 5, 0, Overlap([]))) == {"MT (rougel)", "MT (bleu)"}


def test_rows_that_share_eight_words_are_passed_over() -> None:
    eight = "red lamp with brass foot and linen shade"
    asked = [question(f"Buy a {eight} now"), question("Buy a red lamp with brass foot and wool shade now")]
    sample = draw_sample(asked, 5, 0, Overlap([f"Is the {eight} in stock?"]))
    assert [member.input_field for member in sample["task"]] == [asked[1].input_field]


def test_wording_that_several_questions_share_is_no_overlap() -> None:
    wording = "Choose the one product that fits best and answer with its number"
    overlap = Overlap([f"{wording}: lamp", f"{wording}: bag"])
    assert not overlap.touches(f"{wording}: shoe")


def test_a_question_that_is_named_twice_still_keeps_its_rows_out() -> None:
    asked = "Which of these nine brass kettles whistles loudest on an open fire outdoors?"
    assert Overlap([asked, asked]).touches(f"Please answer. {asked}")
    assert Overlap([asked, asked]).touches(asked)
    assert Overlap(["short", "short"]).touches("short")
