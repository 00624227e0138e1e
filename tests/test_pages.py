"""Pages and help texts name what exists: paths, links, modules, commands with their options, targets and settings."""

from pathlib import Path

import pytest

from tests.pages import (
    code_of,
    commands_in,
    help_of,
    missing_anchors,
    missing_links,
    missing_modules,
    missing_paths,
    missing_settings,
    missing_targets,
    pages,
    programs,
)  # fmt: skip
from utilities.files import ROOT

PAGES = [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in pages(ROOT)]
PROGRAMS = programs(ROOT)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_to_files_and_headings_that_exist(page: Path) -> None:
    assert missing_links(ROOT, page) == []
    assert missing_anchors(page) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_paths_that_exist(page: Path) -> None:
    assert missing_paths(ROOT, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_modules_and_targets_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert missing_modules(ROOT, text) == []
    assert missing_targets(ROOT, "\n".join(code_of(text))) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_settings_that_exist(page: Path) -> None:
    assert missing_settings("\n".join(code_of(page.read_text(encoding="utf-8")))) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_prints_commands_and_options_that_exist(page: Path) -> None:
    for program, options in commands_in(code_of(page.read_text(encoding="utf-8"))):
        if program.startswith(("pip", "pytest", "venv", "tests.")):
            continue
        assert program in (*PROGRAMS, "local_evaluation.py"), program
        known = all_help_of(program)
        assert [option for option in options if option not in known] == [], program


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_explains_itself_and_names_what_exists(program: str) -> None:
    text = help_of(program)
    assert "usage:" in text
    assert "examples" in text
    assert missing_paths(ROOT, text) == []
    assert missing_modules(ROOT, text) == []


def all_help_of(program: str) -> str:
    """Return the help of a program and of its subcommands."""
    text = help_of(program)
    names = text.partition("{")[2].partition("}")[0].split(",") if text.startswith("usage:") and "{" in text else []
    subcommands = [name for name in names if f"{{{','.join(names)}}}" in text.splitlines()[0]]
    return "\n".join([text, *(help_of(program, name) for name in subcommands)])


def test_a_planted_wrong_path_is_named() -> None:
    assert missing_paths(ROOT, "see `prompts/detection.py` and `prompts/nothing.py`") == ["prompts/nothing.py"]
    assert missing_paths(ROOT, "in docs/nowhere.md, and in models/weights/mine") == ["docs/nowhere.md"]


def test_a_planted_wrong_module_setting_target_and_link_are_named(tmp_path: Path) -> None:
    assert missing_modules(ROOT, "`evaluation.metrics.ndcg` and `evaluation.metrics.nothing`") == [
        "evaluation.metrics.nothing"
    ]
    assert missing_modules(ROOT, "python -m utilities.preflight") == ["utilities.preflight"]
    assert missing_settings("engine.vllm.max_model_len and engine.vllm.length") == ["engine.vllm.length"]
    assert missing_targets(ROOT, "make test and make coffee") == ["coffee"]
    page = tmp_path / "page.md"
    page.write_text("# A page\n[one](page.md#a-page) ![two](two.png) [three](#another-page)")
    assert missing_links(ROOT, page) == ["two.png"]
    assert missing_anchors(page) == ["#another-page"]
