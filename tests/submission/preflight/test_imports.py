"""Every import that the evaluator's import can reach is checked, and no other."""

from pathlib import Path

import pytest

from submission.preflight.imports import Import, reached, scan
from submission.preflight.repository import Repository, Request
from tests.submission.submission_copies import add_line, commit, failing, write

UNPINNED = "import rouge_score\n"
LAZY = "def f() -> None:\n    import rouge_score\n"


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("sys.path += ['x']", True),
        ("sys.path = ['x']", True),
        ("sys.path[:0] = ['x']", True),
        ("del sys.path[0]", True),
        ("sys.path.insert(0, 'x')", True),
        ("x = sys.path[0], sys.path", False),
        ("os.path.join('a', sys.path[0])", False),
    ],
)
def test_a_changed_search_path_is_found_however_it_is_written(line: str, changes: bool) -> None:
    assert scan(f"import os, sys\n{line}\n".encode()).path_changes == ((2,) if changes else ())


def test_imports_are_found_in_functions_under_type_checking_and_by_name() -> None:
    source = """
import a.b
from .c import d
if TYPE_CHECKING:
    import e
async def f():
    importlib.import_module("g.h")
    import_module(".i", "j")
class K:
    import k
"""
    assert scan(source.encode()).imports == (
        Import(2, "a.b", 0, (), lazy=False),
        Import(3, "c", 1, ("d",), lazy=False),
        Import(5, "e", 0, (), lazy=True),
        Import(7, "g.h", 0, (), lazy=True),
        Import(10, "k", 0, (), lazy=False),
    )


@pytest.mark.slow
def test_a_submission_reaches_the_rooms_below_models_and_none_above(copy: Path) -> None:
    names = set(reached(Repository(Request(copy))))
    assert {name.split("/")[0] for name in names} == {"models", "prompts", "retrieval", "utilities"}
    assert {path.relative_to(copy).as_posix() for path in (copy / "models").rglob("*.py")} <= names
    assert {"prompts/__init__.py", "retrieval/lexical.py", "retrieval/products/__init__.py"} <= names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "text", "entry"),
    [
        ("prompts/extra.py", UNPINNED, "prompts.extra"),
        ("retrieval/products/extra.py", UNPINNED, "retrieval.products.extra"),
        ("retrieval/extra/__init__.py", UNPINNED, "retrieval.extra.inner"),
        ("utilities/extra.py", UNPINNED, "utilities.extra"),
        ("evaluation/extra.py", UNPINNED, "evaluation.extra"),
        ("submission/extra.py", UNPINNED, "submission.extra"),
        ("models/engines/transformers_engine/extra.py", LAZY, ""),
    ],
)
def test_a_package_not_pinned_is_named_in_every_room_that_is_reached(
    copy: Path, file: str, text: str, entry: str
) -> None:
    write(file, text)(copy)
    write("retrieval/extra/inner.py", "")(copy)
    if entry:
        commit(copy)
        assert failing(copy) == {}
        add_line("models/user_config.py", f"import {entry}  # noqa")(copy)
    commit(copy)
    found = failing(copy)
    assert list(found) == ["imports"]
    assert found["imports"].found.startswith(f"{file}, line ")


@pytest.mark.slow
def test_an_engine_that_is_not_chosen_may_import_other_requirements_in_functions(copy: Path) -> None:
    write("models/engines/vllm_engine/extra.py", LAZY)(copy)
    commit(copy)
    assert failing(copy) == {}
