"""Finished parts are kept with their conditions and measured again when something changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import Results, conditions, cpu_name, in_turns, source_digest
from tests.benchmarks.commands import read, seconds_of
from utilities.errors import UserError

SETTING = {"cpu": "a", "seed": 0}


def test_a_finished_part_is_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    assert Results(path, SETTING, fresh=False).part({"a": 1}, lambda: {"seconds": 3}) == {"seconds": 3}
    again = Results(path, SETTING, fresh=False).part({"a": 1}, lambda: pytest.fail("measured twice"))
    assert again == {"seconds": 3}


@pytest.mark.parametrize(
    ("inputs", "setting", "fresh"),
    [({"a": 2}, SETTING, False), ({"a": 1}, {**SETTING, "cpu": "b"}, False), ({"a": 1}, SETTING, True)],
)
def test_other_inputs_another_machine_or_fresh_measure_anew(
    tmp_path: Path, inputs: Mapping[str, int], setting: Mapping[str, object], fresh: bool
) -> None:
    path = tmp_path / "r.json"
    Results(path, SETTING, fresh=False).part({"a": 1}, lambda: {"seconds": 3})
    assert Results(path, setting, fresh=fresh).part(inputs, lambda: {"seconds": 4}) == {"seconds": 4}


def test_parts_finished_before_an_interruption_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    results = Results(path, SETTING, fresh=False)
    results.part({"a": 1}, lambda: {"seconds": 3})

    def interrupted() -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        results.part({"a": 2}, interrupted)
    assert [part["result"] for part in read(path)["parts"].values()] == [{"seconds": 3}]


@pytest.mark.parametrize("content", ["", "[]", "{}", "no json"])
def test_a_file_that_holds_no_results_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"r\.json .*: remove it or give --fresh"):
        Results(path, SETTING, fresh=False)


def test_a_key_depends_on_values_and_not_on_their_order(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    Results(path, SETTING, fresh=False).part({"a": 1, "b": 2}, lambda: {"seconds": 3})
    again = Results(path, SETTING, fresh=False).part({"b": 2, "a": 1}, lambda: pytest.fail("measured twice"))
    assert again == {"seconds": 3}


def test_changed_code_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1", encoding="utf-8")
    before = source_digest(("*.py",), tmp_path)
    (tmp_path / "a.py").write_text("2", encoding="utf-8")
    assert source_digest(("*.py",), tmp_path) != before


def test_the_package_itself_is_in_its_digest() -> None:
    assert source_digest() != source_digest(("prompts/*.py",)) != source_digest(())


def test_the_processor_is_named_by_the_system(tmp_path: Path) -> None:
    listed = tmp_path / "cpuinfo"
    listed.write_text("processor\t: 0\nmodel name\t: Abacus 3000\n", encoding="utf-8")
    assert cpu_name(listed) == "Abacus 3000"
    assert cpu_name(tmp_path / "none")


def test_the_conditions_of_a_run_are_recorded() -> None:
    found = conditions(2, 7)
    assert (found["threads"], found["seed"], found["cpu"]) == (2, 7, cpu_name())
    assert {"python", "shopalign", "torch", "transformers"} <= set(found["versions"])


@pytest.mark.slow
def test_two_ways_take_turns_and_are_compared_by_their_medians() -> None:
    ways = ("plain", "quick")
    report = in_turns(ways, 2, seconds_of)
    assert report["turns"] == {"plain": [{"seconds": 4.0}] * 2, "quick": [{"seconds": 1.0}] * 2}
    assert report["medians"] == {"plain": {"seconds": 4.0}, "quick": {"seconds": 1.0}}
    assert report["ratios"] == {"seconds": 0.25}
