"""Detection and reading of wordings by writers who saw neither the rules nor the tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from prompts.detection import detect_task_type
from prompts.prompt import Choice, Selection, Spans
from prompts.reading import Question
from prompts.registry import BUILDERS
from prompts.settings import PromptSettings
from prompts.type_classifier import WEIGHTS
from retrieval.knowledge import QUESTION_ALONE
from utilities.task_type import TaskType

DATA = Path(__file__).parent / "data"
LEAST_RIGHT: dict[str, int] = {
    "outside_wordings_1.jsonl": 200,
    "outside_wordings_2.jsonl": 200,
    "outside_wordings_3.jsonl": 191,
    "outside_wordings_4.jsonl": 197,
    "outside_wordings_5.jsonl": 196,
    "outside_wordings_6.jsonl": 195,
    "outside_wordings_7.jsonl": 199,
}
"""The classifier was fitted on sets 1 and 2. It has seen none of the other sets; their
numbers are those with `FIRM_RULES`, added after a plain order was misread (first shots: docs/log.md)."""
PLAIN: dict[str, set[int]] = {
    "outside_wordings_1.jsonl": set(),
    "outside_wordings_2.jsonl": {7, 21, 41, 69, 92, 96, 175, 189, 196},
}


def wordings(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", sorted(LEAST_RIGHT))
def test_at_least_as_many_wordings_are_detected_as_at_first(name: str) -> None:
    right = sum(
        detect_task_type(Question(w["prompt"]), w["is_multiple_choice"]) == w["task_type"] for w in wordings(name)
    )
    assert right >= LEAST_RIGHT[name]


@pytest.mark.parametrize("name", sorted(LEAST_RIGHT))
def test_the_classifier_was_fitted_on_none_of_the_sets_that_measure_it(name: str) -> None:
    record = json.loads(WEIGHTS.with_suffix(".json").read_text(encoding="utf-8"))
    fitted_on = {entry["file"] for entry in record["files"]}
    assert (name in fitted_on) == (name in PLAIN)


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_the_list_or_the_source_of_every_wording_is_read_but_of_the_known_ones(name: str) -> None:
    plain = {number for number, wording in enumerate(wordings(name), 1) if not is_read(wording)}
    assert plain == PLAIN[name]


def is_read(wording: dict[str, Any]) -> bool:
    """Return whether the prompt offers more than the numbers or the free text of a question that cannot be parsed."""
    task_type = TaskType(wording["task_type"])
    prompt = BUILDERS[task_type](Question(wording["prompt"]), PromptSettings(), QUESTION_ALONE)
    if task_type is TaskType.GENERATION:
        return True
    if task_type is TaskType.NAMED_ENTITY_RECOGNITION:
        return isinstance(prompt.space, Spans)
    assert isinstance(prompt.space, Choice | Selection)
    return bool(prompt.space.texts) or prompt.bare != ""


def test_a_json_question_is_laid_out_in_lines() -> None:
    question = Question('{"task": "rank_all", "query": "mug", "docs": ["1. cup", "2. \\"big\\" mug", "3. pan"]}')
    assert question.text == 'task: rank all\nquery: mug\ndocs:\n1. cup\n2. "big" mug\n3. pan'


@pytest.mark.parametrize(
    "text",
    [
        "Pick two.\n1 | pan\n2 | pot\n3 | lid\nOutput:",
        "Pick two.\n1 pan\n2 pot\n3 lid\nOutput:",
        "Pick two.\nHIT no. 1 ; pan\nHIT no. 2 ; pot\nHIT no. 3 ; lid\nOutput:",
        "Pick two of 1 pan, 2 pot, 3 lid",
        "Pick two: 1 pan 2 pot 3 lid",
        "Pick two of these: a pan (1), a pot (2) or a lid (3). Output:",
        '{"task": "pick two", "items": {"1": "pan", "2": "pot", "3": "lid"}}',
        '{"task": "pick two", "items": [{"id": 1, "t": "pan"}, {"id": 2, "t": "pot"}, {"id": 3, "t": "lid"}]}',
    ],
)
def test_lists_without_the_usual_punctuation_are_read(text: str) -> None:
    listed = Question(text).listed
    assert listed is not None
    assert [item.label for item in listed.items] == ["1", "2", "3"]
    assert [item.text.removeprefix("a ") for item in listed.items] == ["pan", "pot", "lid"]
