"""The options of local_evaluation.py choose the model and the questions, and leave the environment as it was."""

import argparse
import os
from pathlib import Path
from typing import Any

import pytest

from evaluation.questions import QuestionRow
from evaluation.run_options import chosen_model, sampled
from models.settings import load_settings
from utilities.errors import UserError
from utilities.task_type import TaskType

QUESTIONS = [
    QuestionRow(str(number), "a", task, TaskType.GENERATION, "rougel", False, "1")
    for number, task in enumerate(["one", "two", "one", "three", "two"], start=1)
]


def options(output: Path, **given: Any) -> argparse.Namespace:
    return argparse.Namespace(
        **{**dict.fromkeys(("model", "weights", "adapter", "settings", "set")), "output": output, **given}
    )


@pytest.mark.parametrize(
    ("samples", "chosen"),
    [("1", "1"), ("2-4", "234"), ("5,1-2", "125"), ("one", "13"), ("3, two", "235"), ("1,1,1-2", "12")],
)
def test_samples_are_numbers_ranges_and_tasks_in_the_order_of_the_data(samples: str, chosen: str) -> None:
    assert "".join(question.input_field for question in sampled(QUESTIONS, samples)) == chosen


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        ("0", r"--samples 0: the data has the questions 1 to 5"),
        ("6", r"the data has the questions 1 to 5"),
        ("4-2", r"from low to high"),
        ("four", r"there is no such task; the data has: one, two, three"),
        ("", r"names no question"),
        (" , ", r"names no question"),
    ],
)
def test_samples_that_do_not_exist_are_refused_with_those_that_do(samples: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        sampled(QUESTIONS, samples)


def test_options_stand_for_the_variables_while_the_model_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPALIGN_ADAPTER", "models/adapters/other")
    before = dict(os.environ)
    (tmp_path / "weights").mkdir()
    with chosen_model(options(tmp_path, model="llama3-8b", weights=str(tmp_path / "weights"), adapter="none")):
        engine = load_settings().engine
    assert (engine.model, engine.weights, engine.adapter) == ("llama3-8b", str(tmp_path / "weights"), "")
    assert dict(os.environ) == before


def test_set_changes_single_settings_and_keeps_the_file_of_them(tmp_path: Path) -> None:
    changes = ["prompts.external_information=0", "clock.spare=orders", "reasoning.kinds=[rating]", "batch_size=4"]
    with chosen_model(options(tmp_path, set=changes)):
        settings = load_settings()
    assert (settings.prompts.external_information, settings.clock.spare) == (0, "orders")
    assert (settings.reasoning.kinds, settings.batch_size) == (("rating",), 4)
    assert load_settings(tmp_path / "settings.yaml") == settings


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("batch_size", "write NAME=VALUE"),
        ("=3", "write NAME=VALUE"),
        ("batch_size.x=3", "batch_size holds a value, not a block of settings"),
        ("prompts.ranking=[", "the value is not YAML"),
    ],
)
def test_a_change_that_cannot_be_made_is_one_sentence(tmp_path: Path, change: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem), chosen_model(options(tmp_path, set=[change])):
        pass


def test_a_changed_setting_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"unknown setting clock\.spar"),
        chosen_model(options(tmp_path, set=["clock.spar=x"])),
    ):
        load_settings()
