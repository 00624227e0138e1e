"""A run damaged in any one field gives a page or one sentence, never a traceback."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluation.report import page
from evaluation.report.__main__ import main
from evaluation.report.page import write_report
from evaluation.report.runs import read_run, read_runs
from tests.evaluation.report.report_runs import make_run
from utilities.errors import UserError, exit_code

ODD: tuple[Any, ...] = (
    None, True, "text\0", [1, "a"], {"a": None}, -1, 0.5, 10**400, 1e308, float("nan"), float("inf")
)  # fmt: skip
MISSING = object()
FALLBACKS = {"total": 2, "reasons": {"empty prompt": 2, "engine error": 0}}
MORE = {"fallbacks": FALLBACKS, "events": {"restarts": 1}, "settings": {"clock": {"minutes": 70}, "list": [1.5]}}


def places(value: Any, *where: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every value inside this one."""
    for name, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*where, name)
        yield from places(each, *where, name)


def changed(value: Any, where: tuple[str | int, ...], odd: Any) -> Any:
    """Return a copy with another value, or none, at this place."""
    copied = copy.deepcopy(value)
    holder = copied
    for name in where[:-1]:
        holder = holder[name]
    if odd is MISSING:
        del holder[where[-1]]
    else:
        holder[where[-1]] = odd
    return copied


def damages(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    for where in places(value):
        for odd in (MISSING, *ODD):
            yield where, odd, changed(value, where, odd)


def with_more(run: Path) -> Any:
    path = run / "scores.json"
    record = {**json.loads(path.read_text(encoding="utf-8")), **MORE}
    path.write_text(json.dumps(record), encoding="utf-8")
    return record


def problem_of(make: Callable[[], object]) -> str:
    try:
        make()
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("keeps_questions", [True, False])
def test_any_damage_to_scores_json_gives_a_page_or_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps_questions: bool
) -> None:
    # Hundreds of pages: plots, which are made of the questions alone, are left out.
    for plot in ("score_plot", "time_plot", "reliability_plot"):
        monkeypatch.setattr(page, plot, lambda *_: "")
    run = make_run(tmp_path / "run")
    record = with_more(run)
    if not keeps_questions:
        (run / "questions.jsonl").unlink()
    refused = set()
    for where, odd, damaged in damages(record):
        (run / "scores.json").write_text(json.dumps(damaged), encoding="utf-8")
        problem = problem_of(lambda: write_report(read_runs([run]), tmp_path / "report.html"))
        if problem:
            refused.add(where)
            assert "\n" not in problem, (where, odd)
            assert str(run) in problem or not keeps_questions, (where, odd)
        elif isinstance(odd, float):
            assert abs(odd) < 10, (where, odd)
    assert {("seconds", "load"), ("fallbacks",), ("versions",), ("settings", "clock", "minutes")} <= refused


@pytest.mark.parametrize("file", ["questions.jsonl", "trace.jsonl", "answers.jsonl"])
@pytest.mark.parametrize("number", [0, 4])
def test_any_damage_to_a_line_gives_a_page_or_one_sentence(tmp_path: Path, file: str, number: int) -> None:
    path = make_run(tmp_path / "run") / file
    lines = path.read_text(encoding="utf-8").splitlines()
    for where, odd, damaged in damages([json.loads(lines[number])]):
        path.write_text("\n".join([*lines[:number], *map(json.dumps, damaged), *lines[number + 1 :]]), encoding="utf-8")
        problem = problem_of(lambda: write_report(read_runs([path.parent]), tmp_path / "report.html"))
        assert "\n" not in problem, (where, odd)
        assert not problem or str(path.parent) in problem, (where, odd)


def test_two_runs_whose_lines_hold_different_numbers_of_scores_are_refused(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b")]
    path = runs[1] / "questions.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"scores": [1.0]', '"scores": [1.0, 1.0]'))
    with pytest.raises(UserError, match="line 1: field 'scores' holds 2 scores instead of 1"):
        read_runs(runs)


@pytest.mark.parametrize(
    ("where", "odd", "problem"),
    [
        (("seconds", "per_question"), MISSING, "field 'seconds.per_question' is missing"),
        (("seconds", "load"), "3", "field 'seconds.load' is '3': it should be a valid number"),
        (("fallbacks",), MISSING, "field 'fallbacks' is missing"),
        (("fallbacks", "total"), 1.5, "field 'fallbacks.total' is 1.5: it should be a valid integer"),
        (("versions",), [], "field 'versions' is []: it should be an object"),
        (("tasks", "options", "score"), True, "field 'tasks.options.score' is true: it should be a valid number"),
        (
            ("settings", "clock", "minutes"),
            float("inf"),
            "field 'settings.clock.minutes' is inf, not a finite number",
        ),
    ],
)
def test_a_damaged_field_of_scores_json_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], where: tuple[str, ...], odd: object, problem: str
) -> None:
    run = make_run(tmp_path / "run")
    damaged = changed(with_more(run), where, odd)
    (run / "scores.json").write_text(json.dumps(damaged), encoding="utf-8")
    assert exit_code(lambda: main([str(run), "--output", str(tmp_path / "report.html")])) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {run / 'scores.json'}: {problem}")
    assert said.endswith("run local_evaluation.py again\n")


@pytest.mark.parametrize(
    ("whole", "odd", "problem"),
    [
        (
            '"scores": [1.0]',
            '"scores": [[1, 0, 0]]',
            "line 1: field 'scores.0' is [1, 0, 0]: it should be a valid number",
        ),
        ('"scores": [[1, 0, 0]]', '"scores": [1.0]', "line 5: field 'scores.0' is 1.0: it should be a list of counts"),
        ('"score": 1.0', '"score": 0.0', "line 1: field 'score' is not in field 'scores'"),
        ('"seconds": 2.0', '"seconds": 1e999', "line 1: field 'seconds' is Infinity: it should be a finite number"),
        ('"batch": 0', '"batch": 0.5', "line 1: field 'batch' is 0.5: it should be a valid integer"),
    ],
)
def test_a_damaged_field_of_questions_jsonl_is_named(tmp_path: Path, whole: str, odd: str, problem: str) -> None:
    path = make_run(tmp_path / "run") / "questions.jsonl"
    text = path.read_text(encoding="utf-8")
    assert whole in text
    path.write_text(text.replace(whole, odd, 1), encoding="utf-8")
    with pytest.raises(UserError) as raised:
        read_run(path.parent)
    assert str(raised.value) == f"{path}, {problem}: run local_evaluation.py again"


def test_settings_that_nest_without_end_are_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    text = json.dumps({**with_more(run), "settings": "deep"})
    (run / "scores.json").write_text(text.replace('"deep"', "[" * 400 + "]" * 400), encoding="utf-8")
    with pytest.raises(UserError, match=r"field 'settings\.0\.0' nests more than 50 deep"):
        read_run(run)
