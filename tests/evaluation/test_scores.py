import io
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import scores as scores_module
from evaluation.metrics import METRICS, Metric
from evaluation.questions import QuestionRow
from evaluation.score_table import print_scores
from evaluation.scores import Scores, join_answers, score_answers
from retrieval.embeddings import NotScorableError
from utilities.task_type import TaskType

MISSING_MODEL = "the multilingual model is missing: put it there"


def choice(text: str, truth: int, task: str = "options", track: str = "one") -> QuestionRow:
    return QuestionRow(text, truth, task, TaskType.MULTIPLE_CHOICE, "accuracy", True, track)


def spans(text: str, truth: list[str], task: str = "phrases", track: str = "one") -> QuestionRow:
    return QuestionRow(text, truth, task, TaskType.NAMED_ENTITY_RECOGNITION, "micro f1", False, track)


def text(prompt: str, truth: str, metric: str, task: str = "texts", track: str = "two") -> QuestionRow:
    return QuestionRow(prompt, truth, task, TaskType.GENERATION, metric, False, track)


@pytest.fixture
def without_multilingual_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(predictions: Sequence[Any], references: Sequence[Any]) -> list[Any]:
        raise NotScorableError(MISSING_MODEL)

    name = "multilingual-sent-transformer"
    missing = Metric(METRICS[name].task_types, METRICS[name].reference, score)
    monkeypatch.setattr(scores_module, "METRICS", {**METRICS, name: missing})


def test_a_task_score_is_the_mean_over_its_questions() -> None:
    questions = [choice("a", 1), choice("b", 2), choice("c", 3), choice("d", 4)]
    (task,) = score_answers(questions, ["1", "2", "2", "Answer: 4"]).tasks
    assert (task.name, task.score, task.questions) == ("options", 0.5, 4)


def test_f1_is_computed_from_the_sum_over_the_task() -> None:
    questions = [spans("a", ["red"]), spans("b", ["blue", "green", "grey"])]
    (task,) = score_answers(questions, ["red", "blue, black"]).tasks
    precision, recall = 2 / 3, 2 / 4
    assert task.score == pytest.approx(2 * precision * recall / (precision + recall))


def test_overall_is_the_mean_over_tasks_not_over_questions() -> None:
    questions = [
        choice("a", 1, "easy"),
        choice("b", 1, "hard"),
        choice("c", 1, "hard"),
        choice("d", 1, "hard"),
    ]
    assert score_answers(questions, ["1", "0", "0", "0"]).overall == 0.5


def test_types_and_tracks_are_means_over_their_tasks() -> None:
    questions = [
        choice("a", 1, "first", "one"),
        choice("b", 1, "second", "two"),
        spans("c", ["red"], "third", "two"),
    ]
    scores = score_answers(questions, ["1", "0", "red"])
    assert scores.task_types == {"multiple-choice": 0.5, "named_entity_recognition": 1.0}
    assert scores.tracks == {"one": 1.0, "two": 0.5}


def test_each_question_of_a_mixed_task_is_scored_by_its_own_metric() -> None:
    questions = [text("a", "a red cotton dress", "bleu"), text("b", "dress", "rougel")]
    (task,) = score_answers(questions, ["a red cotton dress", "dresses"]).tasks
    assert task.metric == "bleu"
    assert task.score == pytest.approx(1.0)


def test_a_question_that_occurs_twice_gets_both_answers_twice() -> None:
    questions = [choice("same", 1), choice("other", 1), choice("same", 2)]
    rows = join_answers(questions, ["1", "5", "3"])
    assert [(row.question.output_field, row.answer) for row in rows] == [
        (1, "1"),
        (1, "3"),
        (1, "5"),
        (2, "1"),
        (2, "3"),
    ]


def test_the_same_text_in_two_task_types_is_joined_across_them() -> None:
    questions = [choice("same", 1), spans("same", ["1"])]
    assert [task.questions for task in score_answers(questions, ["1", "2"]).tasks] == [2, 2]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
def test_n_equal_questions_make_n_times_n_rows(texts: list[str]) -> None:
    rows = join_answers([choice(prompt, 1) for prompt in texts], ["1"] * len(texts))
    assert len(rows) == sum(times**2 for times in Counter(texts).values())


@pytest.mark.usefixtures("without_multilingual_model")
def test_a_task_without_its_model_is_left_out_of_every_mean() -> None:
    questions = [choice("a", 1), text("b", "x", "multilingual-sent-transformer")]
    scores = score_answers(questions, ["1", "x"])
    assert scores.tasks[1].score is None
    assert scores.tasks[1].not_scored == MISSING_MODEL
    assert scores.overall == 1.0
    assert scores.task_types == {"generation": None, "multiple-choice": 1.0}
    assert scores.tracks == {"one": 1.0, "two": None}


@pytest.mark.usefixtures("without_multilingual_model")
def test_one_question_without_its_model_leaves_its_whole_task_unscored() -> None:
    questions = [text("a", "x", "rougel"), text("b", "x", "multilingual-sent-transformer")]
    (task,) = score_answers(questions, ["x", "x"]).tasks
    assert task.score is None


@pytest.mark.usefixtures("without_multilingual_model")
def test_nothing_scored_has_no_overall_score() -> None:
    assert score_answers([text("a", "x", "multilingual-sent-transformer")], ["x"]).overall is None


def test_a_wrong_number_of_answers_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="shorter"):
        score_answers([choice("a", 1), choice("b", 1)], ["1"])


def test_scores_are_written_as_plain_json() -> None:
    scores = score_answers([choice("a", 1), spans("b", ["red"], track="two")], ["1", "blue"])
    assert json.loads(json.dumps(scores.to_json())) == {
        "overall": 0.5,
        "tasks": {
            "options": {"score": 1.0, "metric": "accuracy", "task_type": "multiple-choice", "questions": 1},
            "phrases": {
                "score": 0.0,
                "metric": "micro f1",
                "task_type": "named_entity_recognition",
                "questions": 1,
            },
        },
        "task_types": {"multiple-choice": 1.0, "named_entity_recognition": 0.0},
        "tracks": {"one": 1.0, "two": 0.0},
    }


@pytest.mark.usefixtures("without_multilingual_model")
def test_json_says_why_a_task_was_not_scored() -> None:
    (task,) = score_answers([text("a", "x", "multilingual-sent-transformer")], ["x"]).tasks
    assert (task.to_json()["score"], task.to_json()["not_scored"]) == (None, MISSING_MODEL)


def printed(scores: Scores) -> str:
    with redirect_stdout(io.StringIO()) as file:
        print_scores(scores)
    return file.getvalue()


def test_a_piped_table_is_aligned_plain_text_of_any_width() -> None:
    track = "a-track-" * 20
    output = printed(score_answers([choice("a", 1, "x", track), choice("b", 1, "longer [name]")], ["1", "0"]))
    lines = output.splitlines()
    assert output.isascii()
    assert "\x1b" not in output
    assert f"{track}  1.0000" in lines
    assert lines[:3] == [
        "task           type             metric    questions   score",
        "x              multiple-choice  accuracy          1  1.0000",
        "longer [name]  multiple-choice  accuracy          1  0.0000",
    ]


@pytest.mark.usefixtures("without_multilingual_model")
def test_the_table_says_what_was_not_scored_and_why() -> None:
    output = printed(score_answers([text("a", "x", "multilingual-sent-transformer")], ["x"]))
    assert "overall: not scored" in output
    assert f"texts is not scored and left out of the means: {MISSING_MODEL}\n" in output
