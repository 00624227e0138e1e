"""Runs of the same questions are compared question by question, and chance gets no verdict."""

from pathlib import Path

import pytest

from evaluation.report.__main__ import main
from evaluation.report.runs import read_runs
from evaluation.report.score_tables import score_tables
from tests.evaluation.report.report_runs import FIRST, QUESTIONS, SECOND, choice, make_run
from utilities.errors import UserError


def test_two_runs_are_compared_question_by_question(tmp_path: Path) -> None:
    runs = read_runs([make_run(tmp_path / "a"), make_run(tmp_path / "b", SECOND)])
    tables = score_tables(runs)
    by_name = {line.name: line.differences[0] for line in tables.tasks}
    options, entities = by_name["options"], by_name["entities"]
    assert options is not None
    assert entities is not None
    # options: 2 and 3 of 4 right; entities: 2 and 1 found, 1 and 2 wrong, 1 and 2 missed.
    assert options.interval.value == pytest.approx(0.75 - 0.5)
    assert (options.better, options.worse, options.same) == (1, 0, 3)
    assert entities.interval.value == pytest.approx(2 / 6 - 4 / 6)
    assert (entities.better, entities.worse, entities.same) == (0, 1, 1)
    overall = tables.overall.differences[0]
    assert overall is not None
    assert overall.interval.value == pytest.approx((0.25 - 1 / 3) / 2)
    assert overall.verdict == "no clear difference"


def test_runs_are_called_what_the_command_calls_them(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b=c", SECOND)
    page = tmp_path / "report.html"
    assert main([f"N=500={first}", str(second), "--output", str(page)]) == 0
    assert "<title>ShopAlign report: N=500, b=c</title>" in page.read_text(encoding="utf-8")
    with pytest.raises(UserError, match="two runs are called same"):
        main([f"same={first}", f"same={second}", "--output", str(page)])


def test_differences_are_paired(tmp_path: Path) -> None:
    questions = [choice(number, 1) for number in range(40)]
    half = ["1", "0"] * 20
    runs = [make_run(tmp_path / "a", half, questions), make_run(tmp_path / "b", ["1", *half[:-1]], questions)]
    same = score_tables(read_runs([runs[0], make_run(tmp_path / "c", half, questions)])).overall.differences[0]
    other = score_tables(read_runs(runs)).overall.differences[0]
    assert same is not None
    assert other is not None
    assert (same.interval.low, same.interval.high) == (0.0, 0.0)
    assert other.interval.low < 0 < other.interval.high


def test_what_is_better_beyond_chance_is_called_better(tmp_path: Path) -> None:
    questions = [choice(number, 1) for number in range(20)]
    runs = [make_run(tmp_path / "a", ["0"] * 20, questions), make_run(tmp_path / "b", ["1"] * 20, questions)]
    for order, verdict in ((runs, "better"), (runs[::-1], "worse")):
        change = score_tables(read_runs(order)).overall.differences[0]
        assert change is not None
        assert change.verdict == verdict


@pytest.mark.parametrize(("changed", "verdict"), [(5, "no clear difference"), (6, "better")])
def test_too_few_changes_for_a_sign_test_get_no_verdict(tmp_path: Path, changed: int, verdict: str) -> None:
    questions = [choice(number, 1) for number in range(changed)]
    change = score_tables(
        read_runs(
            [make_run(tmp_path / "a", ["0"] * changed, questions), make_run(tmp_path / "b", ["1"] * changed, questions)]
        )
    ).overall.differences[0]
    assert change is not None
    assert change.interval.low > 0
    assert change.verdict == verdict


def test_a_question_that_is_asked_again_and_again_makes_no_verdict(tmp_path: Path) -> None:
    questions = [choice(number % 3, 1) for number in range(12)]
    runs = [make_run(tmp_path / name, [answer] * 12, questions) for name, answer in (("a", "0"), ("b", "1"))]
    change = score_tables(read_runs(runs)).overall.differences[0]
    assert change is not None
    assert (change.better, change.changed) == (12, 3)
    assert change.verdict == "no clear difference"


def test_runs_of_other_questions_and_the_same_run_twice_are_refused(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a")
    with pytest.raises(UserError, match="answered other questions than"):
        read_runs([first, make_run(tmp_path / "b", FIRST[:4], QUESTIONS[:4])])
    with pytest.raises(UserError, match="is named twice"):
        read_runs([first, first])


def test_runs_of_the_same_name_get_different_names(tmp_path: Path) -> None:
    runs = read_runs([make_run(tmp_path / "x" / "out"), make_run(tmp_path / "y" / "out")])
    assert [run.name for run in runs] == ["x/out", "y/out"]
