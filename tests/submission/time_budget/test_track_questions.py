"""The cost of sample questions becomes the cost of whole tracks."""

import dataclasses
import json
from pathlib import Path

import pytest

from evaluation.questions import read_questions
from models.engines.model_registry import ModelEntry, model_entry
from models.settings import load_settings
from prompts.prompt import Prompt, Text
from submission.time_budget.devices import Assumptions, Device, read_devices
from submission.time_budget.prediction import Machine
from submission.time_budget.token_counting import counting_for
from submission.time_budget.track_questions import Cost, assumed_questions, budgets, count_groups, full_batches
from utilities.tracks import TRACK_3_QUESTIONS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_tiny_default")]


def predicted(entry: ModelEntry, data: Path) -> list[float]:
    made = Machine(entry, *four_t4())
    groups = count_groups(read_questions(data), made, counting_for(entry), load_settings())
    return [budget.minutes for budget in budgets(groups, made, assumed_questions({}))]


def four_t4() -> tuple[Device, int, Assumptions]:
    devices, assumptions = read_devices()
    return devices["t4"], 4, assumptions


def test_a_model_of_twice_the_layers_takes_longer_in_every_track(data: Path) -> None:
    entry = model_entry("llama3-8b")
    shape = dataclasses.replace(entry.shape, layers=2 * entry.shape.layers)
    once, twice = predicted(entry, data), predicted(dataclasses.replace(entry, shape=shape), data)
    assert len(once) == 5
    assert all(1.5 * a < b < 2.5 * a for a, b in zip(once, twice, strict=True))


def test_the_fifth_track_takes_as_long_as_the_four_together(data: Path) -> None:
    *four, all_of_them = predicted(model_entry("llama3-70b-awq"), data)
    assert all_of_them == pytest.approx(sum(four), rel=0.02)


def test_batches_are_filled_up_with_prompts_that_differ() -> None:
    prompts = [Prompt("", name, Text(3), fallback="x", bare=name) for name in ("one", "two", "three")]
    (batch,) = full_batches(prompts, 8)
    assert batch[:3] == prompts
    assert len(batch) == len({each.user for each in batch}) == len({each.bare for each in batch}) == 8
    assert full_batches(prompts, 3) == [prompts]


def test_few_samples_cost_as_much_a_question_as_many(data: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.jsonl"
    lines = data.read_text(encoding="utf-8").splitlines()
    one.write_text(next(line for line in lines if '"ranking"' in line), encoding="utf-8")
    same = tmp_path / "same.jsonl"
    question = json.loads(one.read_text(encoding="utf-8"))
    words = [dict(question, input_field=f"{question['input_field']} {number}") for number in range(16)]
    same.write_text("\n".join(map(json.dumps, words)), encoding="utf-8")
    entry = model_entry("llama3-70b-awq")
    assert predicted(entry, one)[2] == pytest.approx(predicted(entry, same)[2], rel=0.03)


def test_questions_are_assumed_in_proportion_to_the_minutes() -> None:
    assert assumed_questions({}) == {1: 5537, 2: 1582, 3: TRACK_3_QUESTIONS, 4: 1582, 5: 11074}
    assert assumed_questions({1: 100})[5] == 100 + 1582 + 2373 + 1582
    assert assumed_questions({5: 7})[5] == 7


def test_costs_add_up_and_the_slowest_batch_is_the_slowest_of_both() -> None:
    one, other = Cost(1, 10, 2, 3, 4, 5), Cost(2, 20, 0, 1, 1, 7)
    assert one.times(3) + other == Cost(5, 50, 6, 10, 13, 7)
    assert sum([one, other], Cost()) == Cost(3, 30, 2, 4, 5, 7)
