"""Pages and help texts name what exists: paths, links, modules, commands with their options, targets and settings."""

import re
from pathlib import Path

import pytest

from tests.pages import (
    code_of,
    missing_anchors,
    missing_keys,
    missing_links,
    missing_modules,
    missing_paths,
    missing_settings,
    missing_targets,
    missing_variables,
    pages,
    placeholders,
    undefined_files,
    undocumented,
    variables_of,
)  # fmt: skip
from tests.printed_commands import all_help_of, help_of, options_of, programs, wrong_commands
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


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_variables_files_and_keys_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert missing_variables(ROOT, text) == []
    assert undefined_files(ROOT, text) == []
    assert missing_keys(text) == []
    assert placeholders(text) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_prints_commands_and_options_that_exist(page: Path) -> None:
    assert wrong_commands(code_of(page.read_text(encoding="utf-8")), PROGRAMS) == []


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_explains_itself_and_names_what_exists(program: str) -> None:
    assert "usage:" in help_of(program)
    assert "examples" in help_of(program)
    text = all_help_of(program)
    assert missing_paths(ROOT, text) == []
    assert missing_modules(ROOT, text) == []
    assert missing_targets(ROOT, text) == []
    assert missing_settings(text) == []
    assert missing_variables(ROOT, text) == []
    assert wrong_commands(re.sub(r"\\\n\s*", " ", text).splitlines(), PROGRAMS) == []


def test_all_settings_and_variables_are_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert undocumented(page) == []
    assert [name for name in variables_of(ROOT) if name not in page] == []


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


def test_a_planted_undocumented_setting_is_named() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert undocumented(page.replace("`clock.spare`", "")) == ["clock.spare"]
    assert undocumented(page.replace("`knowledge.fuse.<kind>`", ""))[:1] == ["knowledge.fuse.choice"]


@pytest.mark.slow
def test_planted_wrong_commands_are_named() -> None:
    lines = [
        "python -m retrieval.products bild shop.csv",
        "python -m retrieval.products build --outp shop",
        "python local_evaluation.py --lim 5",
        "python -m evaluation.nothing --output x",
        "python -m retrieval.products query esci 'drill' -k 5   the shop's products",
    ]
    assert wrong_commands(lines, PROGRAMS) == [
        "retrieval.products bild",
        "retrieval.products --outp",
        "local_evaluation.py --lim",
        "evaluation.nothing",
    ]


def test_options_of_examples_are_no_options() -> None:
    text = "usage: a [--all]\n\noptions:\n  -k N, --keep N  like --most\n\nexamples:\n  python a \\\n      --other\n"
    assert options_of(text) == {"-k", "--keep"}


def test_planted_wrong_names_in_a_page_are_named() -> None:
    assert missing_variables(ROOT, "SHOPALIGN_MODEL and SHOPALIGN_MODELS") == ["SHOPALIGN_MODELS"]
    assert undefined_files(ROOT, "`settings.yaml`, `setings.yaml`, `requirements-nope.txt`, `scores.json`") == [
        "requirements-nope.txt",
        "setings.yaml",
    ]
    assert missing_paths(ROOT, "models/adapters/nothing, models/weightsless and models/weights/mine") == [
        "models/adapters/nothing",
        "models/weightsless",
    ]
    page = "Text\n\n```yaml\nengine:\n  model: qwen2-7b\n  modl: x\n  vllm: {length: 3}\nbatchsize: 3\n```\n"
    assert missing_keys(page) == ["engine.modl", "engine.vllm.length", "batchsize"]
    assert missing_keys("Text\n\n    clock:\n      spair: none\n") == ["clock.spair"]
    assert placeholders("A page\nTRUE_TIMES\nSHOPALIGN_MODEL is read\n") == ["TRUE_TIMES"]
