"""Evaluation questions and held-out rows stay unseen: what is content, and what is wording."""

import json
from pathlib import Path

import pytest

from evaluation.questions import QuestionRow
from tests.tuning.training_rows import thing, write_rows, written
from tuning import select_data
from tuning.selection.decontamination import UnseenContent
from tuning.selection.drawing import Shares, select
from tuning.selection.question_text import Parts, read_parts
from tuning.selection.rows import Usable
from utilities.task_type import TaskType

WORDING = "please read the following question about our shop carefully and then write down your answer"
STORY = "a small blue heron walked along the quiet river and caught seven silver fish before noon"


def unseen_of(texts: list[str], rows: list[str]) -> UnseenContent:
    return UnseenContent([read_parts(text) for text in texts], [read_parts(text) for text in rows])


def words(text: str) -> tuple[str, ...]:
    return read_parts(text).words


def test_wording_that_many_rows_share_is_no_content() -> None:
    rows = [f"{WORDING} {thing(index)}" for index in range(30)]
    unseen = unseen_of([f"{WORDING} {STORY}"], rows)
    assert not any(unseen.touches(words(row)) for row in rows)
    assert unseen.touches(words(f"Did you know: {STORY}?"))


def test_content_that_several_evaluation_questions_share_stays_unseen() -> None:
    assert unseen_of([f"{index} {STORY} {thing(index)}" for index in range(2)], []).touches(words(STORY))


def test_a_question_that_is_all_wording_is_still_unseen_as_a_whole() -> None:
    rows = [f"{WORDING} {thing(index)}" for index in range(30)]
    assert unseen_of([WORDING], rows).touches(words(WORDING.upper()))


@pytest.mark.parametrize("others", [0, 300])
@pytest.mark.parametrize(
    "form",
    ["Product: {0}\n", "A customer likes '{0}'. What is right?\n", "0. {0}\n1. kite number {1}\n2. an oak bench\n"],
)
def test_content_stays_unseen_however_many_rows_share_it(form: str, others: int) -> None:
    near = [f"{form.format(STORY, index)}Tell {index} things about it.\nOutput: " for index in range(25)]
    rows = [f"{form.format(thing(index), index)}Tell two things about it.\nOutput: " for index in range(others)]
    unseen = unseen_of([f"{form.format(STORY, 99)}Praise it.\nOutput: "], near + rows)
    assert all(unseen.touches(words(text)) for text in near)
    assert not any(unseen.touches(words(text)) for text in rows)


def test_answers_that_many_questions_offer_are_no_content() -> None:
    offered = "\n".join(f"{index}. {text}" for index, text in enumerate((STORY, STORY[::-1], "none of these")))
    rows = [f"Which one fits?\nProduct: {thing(index)}\n{offered}\nAnswer: " for index in range(30)]
    unseen = unseen_of([rows[0], f"Which one fits?\nProduct: {WORDING}\n{offered}\nAnswer: "], rows)
    assert [unseen.touches(words(row)) for row in rows] == [True] + [False] * 29


@pytest.mark.parametrize("labels", ["1. 2. 3. 4.", "A. B. C. D.", "(1) (2) (3) (4)", "A) B) C) D)"])
def test_the_numbers_of_options_do_not_hide_a_question(labels: str) -> None:
    texts = ("one litre of milk", "two kilos of flour", "three bags of rice", "four bars of soap")

    def question(numbers: str) -> str:
        listed = "\n".join(f"{label} {text}" for label, text in zip(numbers.split(), texts, strict=True))
        return f"Pick the right unit.\n{listed}\nAnswer: "

    assert unseen_of([question("0. 1. 2. 3.")], []).touches(words(question(labels)))


def test_rows_near_evaluation_questions_and_held_out_rows_are_dropped(tmp_path: Path) -> None:
    evaluation = write_rows(tmp_path / "evaluation.jsonl", [written(0, input_field=STORY)])
    near = [written(1, input_field=f"Describe this: {STORY}"), written(2, input_field="Describe the kettle.")]
    source = write_rows(tmp_path / "rows.jsonl", [*near, *(written(index) for index in range(200, 210))])
    files = ["--source", str(source), "--against", str(evaluation), "--output", str(tmp_path / "selected")]
    assert select_data.main([*files, "--sizes", "1"]) == 0
    record = json.loads((tmp_path / "selected" / "selection.json").read_text())
    assert record["dropped"] == {"shares words with an evaluation file": {"describe": 1}}


def test_rows_near_held_out_rows_are_dropped() -> None:
    question = QuestionRow("x", "x", "a", TaskType.GENERATION, "bleu", False, "unknown")
    twins = [Usable(question, "test", Parts((*STORY.split(), str(index)), ())) for index in range(2)]
    selected = select(twins, Shares(), 1, 0)
    assert len(selected.held_out) == len(selected.too_near) == 1
    assert not selected.training
