import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import local_evaluation
from evaluation.loop import Batch, Prediction, predict
from evaluation.questions import QuestionRow
from evaluation.run_record import record_run
from utilities.errors import UserError
from utilities.task_type import TaskType

ROWS: Sequence[Mapping[str, object]] = [
    {"task": "options", "task_type": "multiple-choice", "metric": "accuracy", "output_field": 2},
    {"task": "shelf", "task_type": "ranking", "metric": "ndcg", "output_field": [1, 0]},
    {"task": "options", "task_type": "multiple-choice", "metric": "accuracy", "output_field": 1},
    {"task": "slogan", "task_type": "generation", "metric": "rougel", "output_field": "赤い dress"},
]
ANSWERS = ["2", "1,2", "9", "赤い dress"]


def question(text: str, task_type: TaskType = TaskType.GENERATION) -> QuestionRow:
    is_choice = task_type is TaskType.MULTIPLE_CHOICE
    return QuestionRow(text, "?", "task", task_type, "rougel", is_choice, "track")


class Echo:
    """Answers with the prompt and remembers what it was asked; no more than the evaluator's contract."""

    def __init__(self, sizes: Sequence[int] = (2,)) -> None:
        self.sizes = list(sizes)
        self.calls: list[tuple[dict[str, list[str]], bool]] = []

    def get_batch_size(self) -> int:
        return self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]

    def batch_predict(self, batch: dict[str, list[str]], is_multiple_choice: bool) -> list[str]:
        self.calls.append((batch, is_multiple_choice))
        return list(batch["prompt"])


class Returning(Echo):
    def __init__(self, size: object = 2, answers: object = None) -> None:
        super().__init__()
        self.size, self.answers = size, answers

    def get_batch_size(self) -> int:
        return self.size  # type: ignore[return-value]

    def batch_predict(self, batch: dict[str, list[str]], is_multiple_choice: bool) -> list[str]:
        return self.answers  # type: ignore[return-value]


class Telling(Echo):
    """A model that describes itself and counts its fallbacks."""

    fallbacks: Mapping[str, int] = {"empty prompt": 2, "engine error": 1}

    def describe(self) -> dict[str, object]:
        return {"settings": {"folder": Path("models") / "weights"}, "weights": {"model": "echo"}}


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


def test_a_model_of_the_bare_contract_tells_nothing_of_itself() -> None:
    model = Echo()
    record = record_run(model, predict(model, [question("a")]), 1.5).to_json()
    assert (record["fallbacks"], record["settings"], record["weights"]) == (None, None, None)


def test_fallbacks_and_description_of_the_model_are_kept() -> None:
    model = Telling()
    record = record_run(model, predict(model, [question("a")]), 1.5).to_json()
    assert record["fallbacks"] == {"total": 3, "reasons": {"empty prompt": 2, "engine error": 1}}
    assert record["settings"] == {"folder": "models/weights"}
    assert record["weights"] == {"model": "echo"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "questions.json"
    rows = [json.dumps({**row, "input_field": answer}) for row, answer in zip(ROWS, ANSWERS, strict=True)]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def user_model(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("models.user_config")
    module.UserModel = Telling  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "models.user_config", module)


@pytest.fixture
def no_user_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "models.user_config", None)


def saved(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return record


@pytest.mark.usefixtures("user_model")
def test_the_user_model_is_asked_scored_and_recorded(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "made" / "here"
    assert local_evaluation.main(["--data", str(data), "--output", str(output)]) == 0
    record = saved(output)
    assert record["overall"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert record["tasks"]["options"]["score"] == 0.5
    assert set(record["tracks"]) == {"unknown"}
    assert set(record["seconds"]) == {"load", "predict", "per_question", "slowest_batch"}
    assert record["seconds"]["slowest_batch"]["limit"] in (10.0, 20.0)
    assert record["fallbacks"]["total"] == 3
    assert {"python", "shopalign", "torch", "transformers", "numpy"} <= set(record["versions"])
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    assert record["data"] == {"path": str(data), "sha256": digest, "questions": 4}
    printed = capsys.readouterr().out
    assert "fallbacks: 3 (empty prompt: 2, engine error: 1)" in printed
    assert "within the limit of" in printed
    assert str(output / "scores.json") in printed


@pytest.mark.usefixtures("user_model")
def test_saved_answers_keep_the_order_of_the_data_and_stay_readable(data: Path, tmp_path: Path) -> None:
    local_evaluation.main(["--data", str(data), "--output", str(tmp_path)])
    lines = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == ['"2"', '"1,2"', '"9"', '"赤い dress"']


@pytest.mark.usefixtures("user_model")
def test_limit_takes_the_first_lines(data: Path, tmp_path: Path) -> None:
    local_evaluation.main(["--data", str(data), "--output", str(tmp_path), "--limit", "2"])
    assert (list(saved(tmp_path)["tasks"]), saved(tmp_path)["data"]["questions"]) == (["options", "shelf"], 2)


@pytest.mark.usefixtures("no_user_model")
def test_saved_answers_are_scored_without_a_model(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = tmp_path / "saved.jsonl"
    answers.write_text("\n".join(json.dumps(answer) for answer in ANSWERS), encoding="utf-8")
    output = tmp_path / "outputs"
    local_evaluation.main(["--data", str(data), "--output", str(output), "--answers", str(answers)])
    record = saved(output)
    assert record["overall"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert set(record["seconds"].values()) == {None}
    assert (record["fallbacks"], record["settings"], record["weights"]) == (None, None, None)
    assert "fallbacks" not in capsys.readouterr().out


@pytest.mark.usefixtures("user_model")
def test_answers_survive_although_scoring_fails(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("evaluation.scores.score_answers", fail)
    with pytest.raises(MemoryError):
        local_evaluation.main(["--data", str(data), "--output", str(tmp_path)])
    assert local_evaluation.read_answers(tmp_path / "answers.jsonl", 4) == ANSWERS


@pytest.mark.usefixtures("user_model")
@pytest.mark.parametrize(
    "error", [ValueError("two\nlines"), RecursionError("deep"), UserError("mend it"), OSError("full")]
)
def test_a_report_that_cannot_be_written_takes_nothing_from_a_scored_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("evaluation.report.page.write_report", fail)
    assert local_evaluation.main(["--data", str(data), "--output", str(tmp_path)]) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    words = " ".join(str(error).split())
    assert said.startswith("no report: ")
    assert said.endswith(words)
    assert isinstance(error, UserError | OSError) or type(error).__name__ in said
    assert saved(tmp_path)["overall"] is not None


@given(answers=st.lists(st.text(st.characters(exclude_categories=[])), max_size=5))
def test_any_answers_are_read_back(tmp_path_factory: pytest.TempPathFactory, answers: list[str]) -> None:
    path = tmp_path_factory.mktemp("answers") / "answers.jsonl"
    local_evaluation.save_answers(path, answers)
    assert local_evaluation.read_answers(path, len(answers)) == answers


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('"a"\n', r"ends after 1 answers to 2 questions"),
        ('"a"\n"b"\n"c"', r"line 3: an answer too many for 2 questions"),
        ('"a"\n2', r"line 2: not a JSON string"),
        ('"a"\nnull', r"line 2: not a JSON string"),
        ('"a"\nb', r"line 2: not JSON"),
    ],
)
def test_answers_that_do_not_fit_are_refused(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=problem):
        local_evaluation.read_answers(path, 2)


@pytest.mark.usefixtures("no_user_model")
def test_an_output_folder_that_cannot_be_made_is_refused_before_the_model_loads(data: Path) -> None:
    with pytest.raises(UserError, match=r"--output .*: no folder can be made there"):
        local_evaluation.main(["--data", str(data), "--output", str(data)])


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "all", "²"])
def test_a_limit_below_one_is_refused(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        local_evaluation.main(["--limit", limit])
    assert "is not a whole number from 1" in capsys.readouterr().err


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(local_evaluation.__file__)
    return subprocess.run([sys.executable, str(program), *arguments], capture_output=True, text=True, check=False)


def test_a_missing_data_file_ends_in_one_line_and_exit_code_2(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.json"
    finished = run_program("--data", str(missing))
    assert finished.returncode == 2
    assert finished.stderr == f"error: {missing} does not exist: name an existing JSON Lines file\n"


def test_help_loads_nothing_heavy_and_shows_examples() -> None:
    check = (
        "import sys, local_evaluation\n"
        "try: local_evaluation.main(['--help'])\n"
        "finally: assert not {'torch', 'numpy', 'transformers'} & set(sys.modules)"
    )
    folder = Path(local_evaluation.__file__).parent
    finished = subprocess.run([sys.executable, "-c", check], cwd=folder, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "python local_evaluation.py --limit 8" in finished.stdout
