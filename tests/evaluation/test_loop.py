import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.loop import Batch, Prediction, predict
from evaluation.questions import QuestionRow
from evaluation.run_record import record_run
from tests.evaluation.echoing import Describing, Echo
from utilities.errors import UserError
from utilities.task_type import TaskType


def question(text: str, task_type: TaskType = TaskType.GENERATION) -> QuestionRow:
    is_choice = task_type is TaskType.MULTIPLE_CHOICE
    return QuestionRow(text, "?", "task", task_type, "rougel", is_choice, "track")


class Returning(Echo):
    def __init__(self, size: object = 2, answers: object = None) -> None:
        super().__init__()
        self.size, self.answers = size, answers

    def get_batch_size(self) -> int:
        return self.size  # type: ignore[return-value]

    def batch_predict(self, batch: dict[str, list[str]], is_multiple_choice: bool) -> list[str]:
        return self.answers  # type: ignore[return-value]


def test_groups_come_in_alphabetical_order_and_keep_the_order_of_the_data() -> None:
    model = Echo()
    types = [TaskType.RETRIEVAL, TaskType.MULTIPLE_CHOICE, TaskType.GENERATION, TaskType.MULTIPLE_CHOICE]
    predict(model, [question(str(index), task_type) for index, task_type in enumerate(types)])
    assert model.calls == [
        ({"prompt": ["2"]}, False),
        ({"prompt": ["1", "3"]}, True),
        ({"prompt": ["0"]}, False),
    ]


def test_the_batch_size_is_asked_once_a_group() -> None:
    model = Echo(sizes=[2, 1])
    types = [TaskType.GENERATION] * 3 + [TaskType.RANKING] * 2
    predict(model, [question(str(index), task_type) for index, task_type in enumerate(types)])
    assert [len(batch["prompt"]) for batch, _ in model.calls] == [2, 1, 1, 1]


@given(st.lists(st.tuples(st.text(), st.sampled_from(TaskType)), min_size=1), st.integers(1, 16))
def test_answers_return_in_the_order_of_the_questions(asked: list[tuple[str, TaskType]], size: int) -> None:
    prediction = predict(Echo(sizes=[size]), [question(text, task_type) for text, task_type in asked])
    assert prediction.answers == tuple(text for text, _ in asked)
    assert sum(batch.questions for batch in prediction.batches) == len(asked)
    assert all(batch.questions <= size for batch in prediction.batches)


@pytest.mark.parametrize("size", [0, 17, -1, "8", 8.0, None, True])
def test_a_batch_size_outside_1_to_16_breaks_the_contract(size: object) -> None:
    with pytest.raises(UserError, match=r"get_batch_size\(\) returned .*: return an int from 1 to 16"):
        predict(Returning(size=size), [question("a")])


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        (None, "returned a NoneType: return a list of 2 strings"),
        (("a", "b"), "returned a tuple: return a list of 2 strings"),
        (["a"], "returned 1 answers to 2 prompts"),
        (["a", "b", "c"], "returned 3 answers to 2 prompts"),
        (["a", None], "returned None for prompt 1 of its batch: return a string"),
        (["a", 3], "returned 3 for prompt 1 of its batch: return a string"),
    ],
)
def test_answers_of_another_form_break_the_contract(answers: object, problem: str) -> None:
    with pytest.raises(UserError) as raised:
        predict(Returning(answers=answers), [question("a"), question("b")])
    assert "breaks the evaluator's contract" in str(raised.value)
    assert problem in str(raised.value)


def test_an_exception_of_the_model_is_not_hidden() -> None:
    class Failing(Echo):
        def batch_predict(self, batch: dict[str, list[str]], is_multiple_choice: bool) -> list[str]:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        predict(Failing(), [question("a")])


def test_every_batch_is_timed_without_the_time_between_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 3.0, 10.0, 11.0])
    monkeypatch.setattr("evaluation.loop.time.perf_counter", lambda: next(clock))
    prediction = predict(Echo(), [question("a"), question("b"), question("c")])
    assert prediction.batches == (Batch(2, 3.0), Batch(1, 1.0))
    assert prediction.seconds == 4.0


def test_the_slowest_batch_is_the_one_nearest_to_its_own_limit() -> None:
    long, tight = Batch(questions=16, seconds=40.0), Batch(questions=1, seconds=9.0)
    slowest = Prediction(answers=("a",), batches=(long, tight)).slowest_batch
    assert (slowest, slowest.limit) == (tight, 10.0)


def test_a_model_of_the_bare_contract_has_neither_counts_nor_description() -> None:
    model = Echo()
    record = record_run(model, predict(model, [question("a")]), 1.5).to_json()
    assert (record["fallbacks"], record["settings"], record["weights"]) == (None, None, None)


def test_fallbacks_and_description_of_the_model_are_kept() -> None:
    model = Describing()
    record = record_run(model, predict(model, [question("a")]), 1.5).to_json()
    assert record["fallbacks"] == {"total": 3, "reasons": {"empty prompt": 2, "engine error": 1}}
    assert record["settings"] == {"folder": "models/weights"}
    assert record["weights"] == {"model": "echo"}
