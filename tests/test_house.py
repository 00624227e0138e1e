"""The structure of the package: imports point down, without circles; files are short, and their names unique."""

from pathlib import Path

import pytest

from tests.house import circle, files_of, imports_of, same_names, too_long, upward
from utilities.files import ROOT


def test_every_import_points_down() -> None:
    assert upward(imports_of(ROOT)) == []


def test_no_imports_form_a_circle() -> None:
    assert circle(imports_of(ROOT)) == []


def test_no_file_has_more_than_300_lines() -> None:
    assert too_long(ROOT) == []


def test_no_two_files_of_different_parts_have_one_name() -> None:
    assert same_names(ROOT) == []


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
    assert upward(imports) == circle(imports) == too_long(house) == same_names(house) == []


@pytest.mark.parametrize(
    "planted",
    [
        "from prompts.builder import build\n",
        "import prompts.builder\n",
        "from prompts import builder\n",
        "def late() -> None:\n    from prompts import builder\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from prompts.builder import Builder\n",
        "import importlib\nimportlib.import_module('prompts.builder')\n",
    ],
)
def test_a_planted_upward_import_is_named(house: Path, planted: str) -> None:
    (house / "utilities" / "words.py").write_text(planted)
    (found,) = upward(imports_of(house))
    assert found.startswith("utilities/words.py:")
    assert found.endswith("imports prompts/builder.py")


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
