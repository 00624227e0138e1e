"""The structure of the package: imports point down, without circles; files are short, and their names unique."""

from pathlib import Path

import pytest

from tests.house import SAME_PART, circle, files_of, imports_of, same_names, too_long, upward, without_floor
from utilities.files import ROOT


def test_every_import_points_down() -> None:
    assert upward(imports_of(ROOT)) == []


def test_no_imports_form_a_circle() -> None:
    assert circle(imports_of(ROOT)) == []


def test_no_file_has_more_than_300_lines() -> None:
    assert too_long(ROOT) == []


def test_no_two_files_of_different_parts_have_one_name() -> None:
    assert same_names(ROOT) == []


def test_every_file_has_a_floor() -> None:
    assert without_floor(ROOT) == []


def test_the_files_that_may_have_one_name_exist() -> None:
    assert [file for file in SAME_PART if not (ROOT / file).is_file()] == []


def test_all_rooms_are_read() -> None:
    assert {file.split("/")[0] for file in files_of(ROOT)} == {
        "benchmarks", "evaluation", "experiments", "local_evaluation.py", "models", "prompts", "retrieval",
        "submission", "tuning", "utilities",
    }  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small tree without any fault."""
    for file, text in {
        "utilities/__init__.py": "",
        "utilities/words.py": "",
        "prompts/builder.py": "from utilities import words\n",
        "models/engines/engine.py": "import prompts.builder\n",
        "models/model.py": "from models.engines.engine import Engine\n",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


def test_a_tree_without_fault_passes(house: Path) -> None:
    imports = imports_of(house)
    assert [str(each) for each in imports] == [
        "models/engines/engine.py:1 imports prompts/builder.py",
        "models/model.py:1 imports models/engines/engine.py",
        "prompts/builder.py:1 imports utilities/words.py",
    ]
    assert upward(imports) == circle(imports) == too_long(house) == same_names(house) == without_floor(house) == []


@pytest.mark.parametrize(
    "planted",
    [
        "from prompts.builder import build\n",
        "import prompts.builder\n",
        "from prompts import builder\n",
        "def late() -> None:\n    from prompts import builder\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from prompts.builder import Builder\n",
        "import importlib\nimportlib.import_module('prompts.builder')\n",
        "import importlib\nimportlib.import_module(name='prompts.builder')\n",
        "from importlib import import_module as load\nload('prompts.builder')\n",
        "from importlib import import_module\nimport_module('.builder', package='prompts')\n",
        "from importlib import import_module\nNAME = 'prompts.builder'\nimport_module(NAME)\n",
        "COMMAND = ('python', '-m', 'prompts.builder')\n",
    ],
)
def test_a_planted_upward_import_is_named(house: Path, planted: str) -> None:
    (house / "utilities" / "words.py").write_text(planted)
    found = upward(imports_of(house))
    assert found
    assert all(each.startswith("utilities/words.py:") for each in found)
    assert all(each.endswith("imports prompts/builder.py") for each in found)


def test_a_planted_import_of_a_room_on_the_same_floor_is_named(house: Path) -> None:
    (house / "tuning").mkdir()
    (house / "tuning" / "train.py").write_text("")
    (house / "experiments").mkdir()
    (house / "experiments" / "table.py").write_text("import tuning.train\n")
    assert upward(imports_of(house)) == ["experiments/table.py:1 imports tuning/train.py"]


def test_a_planted_circle_is_named(house: Path) -> None:
    (house / "prompts" / "reader.py").write_text("from .builder import build\n")
    (house / "prompts" / "builder.py").write_text("def build() -> None:\n    from prompts.reader import read\n")
    assert set(circle(imports_of(house))) == {"prompts/builder.py", "prompts/reader.py"}


def test_a_planted_long_file_and_a_planted_name_are_named(house: Path) -> None:
    (house / "models" / "builder.py").write_text("\n" * 301)
    assert too_long(house) == ["models/builder.py: 301 lines"]
    assert same_names(house) == ["models/builder.py, prompts/builder.py"]


@pytest.mark.parametrize(
    ("planted", "imported"),
    [
        ("from .. import model", "models/model.py"),
        ("from ..model import Model", "models/model.py"),
        ("import tuning", "tuning"),
        ("import importlib\nimportlib.import_module('tuning')", "tuning"),
        ("from tests.words import WORDS", "tests/words.py"),
        ("from tests import words", "tests/words.py"),
    ],
)
def test_a_planted_upward_import_of_a_package_file_is_named(house: Path, planted: str, imported: str) -> None:
    for file in ("tuning/train.py", "tests/words.py"):
        (house / file).parent.mkdir()
        (house / file).write_text("")
    (house / "models" / "engines" / "__init__.py").write_text(planted)
    found = upward(imports_of(house))
    assert found == [f"models/engines/__init__.py:{planted.count('importlib')} imports {imported}"] or found == [
        f"models/engines/__init__.py:1 imports {imported}"
    ]


def test_relative_names_of_dynamic_imports_start_at_the_own_package(house: Path) -> None:
    (house / "models" / "engines" / "other.py").write_text(
        "from importlib import import_module\nimport_module('..model', __package__)\n"
    )
    assert upward(imports_of(house)) == ["models/engines/other.py:2 imports models/model.py"]


def test_a_planted_circle_through_a_package_file_is_named(house: Path) -> None:
    (house / "prompts" / "__init__.py").write_text("from .builder import build\n")
    (house / "prompts" / "builder.py").write_text("def build() -> None:\n    import prompts\n")
    assert set(circle(imports_of(house))) == {"prompts/__init__.py", "prompts/builder.py"}


def test_a_planted_circle_by_the_name_of_a_program_is_named(house: Path) -> None:
    (house / "prompts" / "reader.py").write_text("PROGRAM = 'prompts.builder'\n")
    (house / "prompts" / "builder.py").write_text("import prompts.reader\n")
    assert set(circle(imports_of(house))) == {"prompts/builder.py", "prompts/reader.py"}


def test_planted_files_without_a_floor_are_named(house: Path) -> None:
    for file in ("newroom/deep/a.py", "tool.py", "outputs/made.py"):
        (house / file).parent.mkdir(parents=True, exist_ok=True)
        (house / file).write_text("")
    (house / ".gitignore").write_text("outputs/\n")
    assert without_floor(house) == ["newroom/deep/a.py", "tool.py"]


def test_a_planted_long_test_and_a_planted_registry_are_named(house: Path) -> None:
    (house / "tests").mkdir()
    (house / "tests" / "test_words.py").write_text("\n" * 301)
    for file in ("models/registry.py", "prompts/registry.py"):
        (house / file).write_text("")
    assert too_long(house) == ["tests/test_words.py: 301 lines"]
    assert same_names(house) == ["models/registry.py, prompts/registry.py"]
