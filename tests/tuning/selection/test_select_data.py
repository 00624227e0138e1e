import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.questions import QuestionRow, read_questions
from prompts.settings import PromptSettings
from tests.printed_commands import help_of
from tests.tuning.training_rows import all_kinds, choice, entity, ranking, retrieval, write_rows, written
from tuning import select_data
from tuning.selection.drawing import Shares, interleaved, select
from tuning.selection.question_text import Parts, with_numbers
from tuning.selection.rows import Usable
from tuning.training_form import TrainingForm, training_form
from utilities.errors import UserError, exit_code
from utilities.task_type import TaskType


def run(tmp_path: Path, *arguments: str, rows: list[dict[str, Any]] | None = None) -> Path:
    """Select from `rows` and return the output's folder."""
    source = write_rows(tmp_path / "rows.jsonl", rows if rows is not None else all_kinds(12))
    output = tmp_path / "selected"
    assert select_data.main(["--source", str(source), "--output", str(output), *arguments]) == 0
    return output


def dropped(tmp_path: Path, rows: list[dict[str, Any]], *arguments: str) -> dict[str, dict[str, int]]:
    """Return what is dropped of `rows`, beside ten sound ones, by reason and task."""
    sound = [written(index) for index in range(200, 210)]
    output = run(tmp_path, "--sizes", "1", *arguments, rows=[*rows, *sound])
    found: dict[str, dict[str, int]] = json.loads((output / "selection.json").read_text())["dropped"]
    return found


def usable(task: str, index: int) -> Usable:
    question = QuestionRow(f"{task} {index}", "x", task, TaskType.GENERATION, "bleu", False, "unknown")
    return Usable(question, "test", Parts((task, str(index)), ()))


def test_every_selected_row_is_a_question_that_can_be_trained_on(tmp_path: Path) -> None:
    output = run(tmp_path, "--sizes", "40", "--held-out", "10")
    questions = [*read_questions(output / "train_40.jsonl"), *read_questions(output / "held_out.jsonl")]
    assert len(questions) == 50
    assert {question.task_type for question in questions} == set(TaskType)
    assert all(isinstance(training_form(question, PromptSettings()), TrainingForm) for question in questions)


def test_a_larger_training_set_begins_with_the_smaller_ones(tmp_path: Path) -> None:
    output = run(tmp_path, "--sizes", "30", "10", "20")
    small, middle, large = ((output / f"train_{size}.jsonl").read_text() for size in (10, 20, 30))
    assert small.count("\n") == 10
    assert middle.startswith(small)
    assert large.startswith(middle)


def test_the_seed_alone_decides_what_is_drawn(tmp_path: Path) -> None:
    same = [(run(tmp_path, "--sizes", "9", "--seed", "4") / "train_9.jsonl").read_text() for _ in range(2)]
    other = (run(tmp_path, "--sizes", "9", "--seed", "5") / "train_9.jsonl").read_text()
    assert same[0] == same[1] != other


def test_held_out_rows_hold_every_task_and_are_in_no_training_set(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "apart.jsonl"
    output = run(tmp_path, "--sizes", "45", "--held-out", "10", "--held-out-output", str(target))
    held, trained = read_questions(target), read_questions(output / "train_45.jsonl")
    assert {question.task_type for question in held} == set(TaskType)
    assert not {question.input_field for question in held} & {question.input_field for question in trained}


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 60), min_size=1), st.data())
def test_each_beginning_holds_the_tasks_in_proportion(counts: dict[str, int], data: st.DataObject) -> None:
    rows = [usable(task, index) for task, count in counts.items() for index in range(count)]
    ordered = interleaved(rows, Shares(), "0")
    assert sorted(row.parts.words for row in ordered) == sorted(row.parts.words for row in rows)
    size = data.draw(st.integers(1, len(rows)))
    for task, count in counts.items():
        drawn = sum(row.question.task_name == task for row in ordered[:size])
        assert abs(drawn - size * count / len(rows)) <= len(counts)


def test_a_weight_multiplies_a_tasks_share_and_a_cap_ends_it() -> None:
    rows = [usable(task, index) for task in "ab" for index in range(100)]
    heavy = interleaved(rows, Shares(weights={"a": 3.0}), "0")
    assert sum(row.question.task_name == "a" for row in heavy[:80]) == 60
    capped = interleaved(rows, Shares(most={"a": 10, "": 50}), "0")
    assert [sum(row.question.task_name == task for row in capped) for task in "ab"] == [10, 50]


def test_rows_of_another_task_do_not_change_which_rows_of_a_task_come_first() -> None:
    alone = interleaved([usable("a", index) for index in range(30)], Shares(), "0")
    beside = interleaved([usable(task, index) for task in "ba" for index in range(30)], Shares(), "0")
    assert alone == [row for row in beside if row.question.task_name == "a"]


def test_a_share_of_a_task_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match=r"--weight: no row is left of a task 'c': name one of a, b"):
        select([usable("a", 1), usable("b", 2)], Shares(weights={"c": 2.0}), 0, 0)


def test_unusable_rows_are_counted_by_reason(tmp_path: Path) -> None:
    rows = [
        choice(1, output_field=7),
        choice(2, output_field=" "),
        choice(3, output_field="maybe"),
        choice(5, metric="f1"),
        entity(6, output_field=["never said"]),
        ranking(7, output_field=[1, 0.1]),
        ranking(8, output_field=[0, 0, 0, 0, 0]),
        retrieval(9, task_type="ranking", metric="ndcg", output_field=[1] + [0] * 7),
        written(10, output_field="long " * 1000),
    ]
    assert dropped(tmp_path, rows) == {
        "answer not in the text": {"entities": 1},
        "answer of another kind than the metric's": {"material": 1},
        "answer outside the options": {"material": 1, "order": 1},
        "all candidates are worth the same": {"order": 1},
        "empty field": {"material": 1},
        "metric 'f1' is not one of the evaluator's": {"material": 1},
        "read as retrieval": {"also_buy": 1},
        "too long": {"describe": 1},
    }


def test_the_first_of_duplicates_stays_and_contradictions_are_told_apart(tmp_path: Path) -> None:
    again = written(1)["input_field"].upper().replace("\n", "  ")
    rows = [written(1), written(1, input_field=again), written(1, output_field="Something else.")]
    assert dropped(tmp_path, rows) == {"duplicate": {"describe": 1}, "duplicate with another answer": {"describe": 1}}


@pytest.mark.parametrize("answer", ["B", "(B)", "B.", "B: metal", "(B) metal", "1", "1. metal"])
def test_letters_and_numbers_as_text_become_the_number_that_the_list_prints(answer: str) -> None:
    text = choice(1)["input_field"]
    assert with_numbers(text, answer, TaskType.MULTIPLE_CHOICE) == (text, 1)


@pytest.mark.parametrize(
    "options", ["A. wood\nB. metal\nC. wool", "(A) wood\n(B) metal\n(C) wool", "A: wood, B: metal, C: wool"]
)
def test_lettered_options_are_renumbered_in_the_text(options: str) -> None:
    text, answer = with_numbers(f"What is the kettle of?\n{options}\nAnswer:", "C", TaskType.MULTIPLE_CHOICE)
    assert text == "What is the kettle of?\n0. wood\n1. metal\n2. wool\nAnswer:"
    assert answer == 2


@pytest.mark.parametrize("answer", ["1.5", "1.50 kg", "1:30"])
def test_an_amount_is_no_number_of_an_option(answer: str) -> None:
    text = choice(1)["input_field"]
    assert with_numbers(text, answer, TaskType.MULTIPLE_CHOICE) == (text, answer)


def test_a_list_that_starts_at_one_keeps_its_numbers() -> None:
    text = "Which one?\n1. wood\n2. metal\nAnswer:"
    assert with_numbers(text, "A", TaskType.MULTIPLE_CHOICE) == (text, 1)
    assert with_numbers(text, "C", TaskType.MULTIPLE_CHOICE) == (text, "C")


def test_lettered_candidates_of_a_selection_are_counted_from_one() -> None:
    text, answer = with_numbers("Choose two.\nA. oak\nB. elm\nC. ash", "A, C", TaskType.RETRIEVAL)
    assert (text, answer) == ("Choose two.\n1. oak\n2. elm\n3. ash", [1, 3])


def test_a_task_can_be_left_out_whole_or_by_its_type(tmp_path: Path) -> None:
    rows = [choice(1, task="mixed"), written(2, task="mixed"), choice(3)]
    found = dropped(tmp_path, rows, "--leave-out", "mixed (generation)", "material")
    assert found == {"task left out": {"mixed": 1, "material": 1}}


def test_leaving_out_a_task_that_is_not_there_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, choice(1), "--leave-out", "nothing")
    assert message == "--leave-out: no row is of a task 'nothing': name one of material"


def refused(tmp_path: Path, row: dict[str, Any], *arguments: str) -> str:
    with pytest.raises(UserError) as caught:
        run(tmp_path, *arguments, rows=[row])
    assert not (tmp_path / "selected").exists()
    return str(caught.value)


def test_the_largest_possible_size_is_told(tmp_path: Path) -> None:
    assert refused(tmp_path, choice(1), "--sizes", "1", "5") == (
        "--sizes: 5 rows are too many: 1 is the largest possible size"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--held-out", "61"], "--held-out: 61 are more than the 60 rows that there are, and none is left to train on"),
        (["--held-out", "60"], "--held-out 60 leaves no row to train on: hold out fewer, or use more files"),
        (
            ["--held-out", "20", "--sizes", "41"],
            "--sizes: 41 rows are too many: 36 is the largest possible size beside --held-out 20",
        ),
    ],
)
def test_too_many_held_out_rows_are_told(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        run(tmp_path, *arguments)
    assert str(caught.value) == message


def test_no_held_out_rows_can_be_asked_for_by_their_number(tmp_path: Path) -> None:
    assert not (run(tmp_path, "--sizes", "5", "--held-out", "0") / "held_out.jsonl").exists()


def test_an_empty_selection_says_what_the_rows_were_dropped_for(tmp_path: Path) -> None:
    message = refused(tmp_path, choice(1, output_field=7))
    assert message.endswith(
        "rows.jsonl: all rows were dropped, by reason: answer outside the options 1; use other files or options"
    )


def test_a_task_with_two_metrics_that_have_no_common_mean_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"task 'both' is scored by 'micro f1' and 'sent-transformer'"):
        run(tmp_path, rows=[entity(1, task="both"), written(2, task="both")])


@pytest.mark.parametrize(
    "line", [b'{"input_field": "cut', b"[1, 2]", b'{"input_field": "no answer"}', b'{"input_field": "caf\xe9"}']
)
def test_a_corrupt_row_stops_with_file_and_line_or_is_counted(
    tmp_path: Path, line: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [choice(1), choice(2)])
    source.write_bytes(b"%s%s\n" % (source.read_bytes(), line))
    arguments = ["--source", f"shopbench={source}", "--output", str(tmp_path / "out"), "--sizes", "2"]
    assert exit_code(lambda: select_data.main(arguments)) == 2
    assert f"error: {source}, line 3: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert select_data.main([*arguments, "--skip-corrupt"]) == 0
    assert json.loads((tmp_path / "out" / "selection.json").read_text())["dropped"] == {"corrupt": {"-": 1}}


def test_a_full_disk_leaves_the_earlier_files_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = run(tmp_path, "--sizes", "5", "6")
    before = {path.name: path.read_text() for path in output.iterdir()}
    write = Path.write_text

    def full(path: Path, *arguments: Any, **named: Any) -> int:
        if "selection.json" in path.name:
            raise OSError(28, "No space left on device")
        return write(path, *arguments, **named)

    monkeypatch.setattr(Path, "write_text", full)
    source = str(tmp_path / "rows.jsonl")
    with pytest.raises(UserError, match=r"selection.json cannot be written \(No space left on device\)"):
        select_data.main(["--source", source, "--output", str(output), "--sizes", "5", "6", "--seed", "9"])
    monkeypatch.undo()
    assert {path.name: path.read_text() for path in output.iterdir()} == before


def test_a_selection_leaves_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    output = run(tmp_path, "--sizes", "5", "30", "--held-out", "10")
    (output / "notes.txt").touch()
    run(tmp_path, "--sizes", "6", "--seed", "2")
    assert {path.name for path in output.iterdir()} == {"train_6.jsonl", "selection.json", "notes.txt"}


@pytest.mark.parametrize("option", ["--source", "--against"])
def test_a_file_of_the_folder_that_is_read_is_not_replaced(tmp_path: Path, option: str) -> None:
    output = run(tmp_path, "--sizes", "5", "30", "--held-out", "10")
    with pytest.raises(UserError, match=r"train_30.jsonl is read, and would be replaced"):
        run(tmp_path, "--sizes", "5", option, str(output / "train_30.jsonl"))
    assert (output / "held_out.jsonl").is_file()


def test_a_place_for_held_out_rows_needs_their_number(tmp_path: Path) -> None:
    assert refused(tmp_path, choice(1), "--held-out-output", "x.jsonl").startswith("--held-out-output needs --held-out")


def test_half_of_a_surrogate_pair_becomes_a_question_mark(tmp_path: Path) -> None:
    output = run(tmp_path, "--sizes", "1", rows=[written(1, output_field="good \ud83d mug")])
    assert read_questions(output / "train_1.jsonl")[0].output_field == "good ? mug"


def test_the_record_tells_sources_counts_and_versions(tmp_path: Path) -> None:
    output = run(tmp_path, "--sizes", "20", "--held-out", "5", "--seed", "3", "--weight", "material=2")
    record = json.loads((output / "selection.json").read_text())
    assert record["sources"][0] | {"sha256": ""} == {"file": "rows.jsonl", "sha256": "", "rows": 60, "kept": 60}
    assert len(record["sources"][0]["sha256"]) == 64
    assert (record["seed"], record["weight"], record["against"]) == (3, {"material": 2.0}, [])
    assert set(record["versions"]) == {"python", "shopalign"}
    assert sum(record["sets"]["train_20"].values()) == 20
    assert sum(record["sets"]["held_out"].values()) == 5
    assert record["available"] + 5 + sum(map(sum, ([*each.values()] for each in record["dropped"].values()))) == 60


def test_help_shows_formats_and_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shown = help_of("tuning.select_data")
    assert "examples:\n  python -m tuning.select_data --source" in shown
    assert all(name in shown for name in ("shopbench", "ecinstruct", "esci", "reviews"))
