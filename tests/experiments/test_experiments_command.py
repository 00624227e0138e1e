"""The command: all tables at once, one page or a folder of pages, and refusals before anything runs."""

from pathlib import Path

import pytest

from experiments import run
from tests.experiments.evaluations import TABLE, Evaluations
from utilities.errors import UserError


def test_all_tables_are_run_without_those_that_have_no_questions_and_end_with_what_is_missing(
    evaluations: Evaluations,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    (tmp_path / "ways.yaml").rename(folder / "ways.yaml")
    (folder / "order.yaml").write_text(TABLE + "task_types: [ranking]\n", encoding="utf-8")
    monkeypatch.setattr("experiments.run.TABLES", folder)
    assert run.main(["--all", *arguments[1:]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("order was left out: ") and "no question of ranking" in line for line in lines)
    assert lines[-2].startswith("ways: elsewhere was not run: no model weights at no/such/folder")
    assert (tmp_path / "ways.md").is_file()
    assert not (tmp_path / "order.md").exists()


def test_one_page_holds_one_table(evaluations: Evaluations, arguments: list[str], tmp_path: Path) -> None:
    page = tmp_path / "pages" / "mine.md"
    assert run.main([*arguments[:-1], str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("# Ways to answer\n")
    with pytest.raises(UserError, match="one page for 2 tables"):
        run.main([arguments[0], *arguments[:-1], str(page)])


@pytest.mark.parametrize("option", ["--output", "--markdown"])
def test_a_place_where_nothing_can_be_written_is_refused_before_anything_runs(
    evaluations: Evaluations, arguments: list[str], tmp_path: Path, option: str
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=f"{option}: nothing can be written in"):
        run.main([*arguments, option, str(tmp_path / "file" / "pages")])
    assert evaluations.settings == []


def test_questions_that_are_not_there_and_a_seed_that_is_none_are_one_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"nothere\.json"):
        run.main([arguments[0], "--data", "nothere.json"])
    with pytest.raises(SystemExit):
        run.main([*arguments, "--seed", "-1"])
    assert "'-1' is not a whole number from 0" in capsys.readouterr().err


def test_two_tables_of_one_name_are_refused(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "ways.yaml").write_text(TABLE, encoding="utf-8")
    with pytest.raises(UserError, match="two tables are called ways"):
        run.main([arguments[0], str(tmp_path / "more" / "ways.yaml"), *arguments[1:]])
