"""Finished rows are kept and run again only when something that affects their answers changed."""

import fcntl
from pathlib import Path

import pytest

from experiments import run
from tests.experiments.evaluations import TABLE, Evaluations, filled


def test_finished_rows_are_not_run_again_unless_something_changed(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    run.main(arguments)
    assert len(evaluations.settings) == 2
    (tmp_path / "ways.yaml").write_text(TABLE.replace("choice: text", "choice: pmi"), encoding="utf-8")
    run.main(arguments)
    assert len(evaluations.settings) == 3
    with (tmp_path / "questions.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n")
    run.main(arguments)
    assert len(evaluations.settings) == 5
    run.main([*arguments, "--fresh"])
    assert len(evaluations.settings) == 7


def test_rows_of_the_same_settings_are_run_once(evaluations: Evaluations, arguments: list[str], tmp_path: Path) -> None:
    twin = TABLE.replace("choice: text", "choice: label")
    (tmp_path / "ways.yaml").write_text(twin, encoding="utf-8")
    assert run.main(arguments) == 0
    assert len(evaluations.settings) == 1
    assert filled(tmp_path)["rows"]["text"]["columns"]["score"]["difference"] == [0.0, 0.0, 0.0]


def test_a_change_of_the_code_asks_for_new_rows_and_keeps_the_old_ones(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.main(arguments)
    for module in ("row_plan", "running"):
        monkeypatch.setattr(f"experiments.{module}.code_digest", lambda: "other")
    run.main([*arguments, "--any-code"])
    assert len(evaluations.settings) == 2
    assert any(line.startswith("made by different code") for line in filled(tmp_path)["remarks"])
    run.main(arguments)
    assert len(evaluations.settings) == 4
    assert [line for line in filled(tmp_path)["remarks"] if "different code" in line] == []
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 4


def test_a_row_is_not_run_by_code_that_changed_after_the_command_began(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.running.code_digest", lambda: "other")
    assert run.main(arguments) == 2
    assert evaluations.settings == []
    assert "the code changed" in filled(tmp_path)["remarks"][-1]


def test_two_commands_do_not_run_the_same_row_at_once(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    for scores in (tmp_path / "out" / "runs").glob("*/scores.json"):
        scores.unlink()
    locks = [path.open("w") for path in (tmp_path / "out" / "runs").glob("*/lock")]
    for lock in locks:
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert run.main(arguments) == 2
    assert len(evaluations.settings) == 2
    assert any("another command is running it" in line for line in filled(tmp_path)["remarks"])
    for lock in locks:
        lock.close()
    assert run.main(arguments) == 0


def test_a_fresh_run_that_fails_leaves_the_finished_one(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path
) -> None:
    run.main(arguments)
    evaluations.fails = True
    assert run.main([*arguments, "--fresh"]) == 2
    assert run.main(arguments) == 0
    assert len(filled(tmp_path)["rows"]["text"]["columns"]) == 3


@pytest.mark.parametrize("name", ["answers.jsonl", "scores.json", "code.json"])
def test_a_damaged_run_is_named_and_takes_no_other_row_with_it(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path, name: str
) -> None:
    run.main(arguments)
    folder = Path(filled(tmp_path)["rows"]["text"]["run"])
    (folder / name).write_text("{", encoding="utf-8")
    code = run.main(arguments)
    if name == "code.json":
        assert (code, filled(tmp_path)["rows"]["text"]["code"]) == (0, "unknown")
        return
    assert code == 2
    assert any(
        line.startswith("text failed: its run is damaged") and "--fresh" in line for line in filled(tmp_path)["remarks"]
    )
    assert filled(tmp_path)["rows"]["label"]["columns"]["score"]["score"][0] > 0
    assert run.main([*arguments, "--fresh"]) == 0
