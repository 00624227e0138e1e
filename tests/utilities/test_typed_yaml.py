"""A YAML file that cannot be used ends in one sentence with file and line."""

from pathlib import Path

import pytest

from utilities.errors import UserError
from utilities.typed_yaml import read_mapping


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2020-01-01: 3", "line 1: the key 2020-01-01 is no text; write it in quotes"),
        ("a: 1\nengine:\n  ? !!binary aGk=\n  : 3", "line 3: the key aGk= is no text; write it in quotes"),
        ("a:\n- {7: 3}", "line 2: the key 7 is no text; write it in quotes"),
        ("? [a, b]\n: 3", "line 1: the key of several values is no text; write it in quotes"),
        ("a: &a [*a]", "line 1: the block a contains itself; write it out"),
        ("a: &a\n  b: {c: *a}", "line 2: the block a contains itself; write it out"),
        ("a: " + "[" * 3000 + "]" * 3000, "line 1: blocks are nested deeper than 50 levels; make it flatter"),
        ("batch_size: 4\nb: 1\nbatch_size: 4", "line 3: the key batch_size occurs twice; keep one of them"),
        ("engine:\n  name: x\n  name: y", "line 3: the key name occurs twice; keep one of them"),
        ("a: 2020-99-99", "month must be in 1..12"),
    ],
)
def test_bad_yaml_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        read_mapping(file, "the settings", "restore it")
    assert str(caught.value) == f"{file}: {said}"


def test_anchors_that_repeat_a_block_are_read(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("a: &a {x: 1}\nb: *a\n'2020-01-01': 3\n")
    assert read_mapping(file, "the settings", "restore it") == {"a": {"x": 1}, "b": {"x": 1}, "2020-01-01": 3}
