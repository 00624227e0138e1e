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
from retrieval.knowledge import QUESTION_ALONE
from utilities.task_type import TaskType

DATA = Path(__file__).parent / "data"
MISSED: dict[str, set[int]] = {
    "outside_wordings_1.jsonl": set(),
    "outside_wordings_2.jsonl": {33, 66, 69, 70, 92, 96, 130, 168, 175, 176, 183, 196, 197},
}
PLAIN: dict[str, set[int]] = {
    "outside_wordings_1.jsonl": set(),
    "outside_wordings_2.jsonl": {7, 21, 41, 69, 92, 96, 175, 189, 196},
}


def wordings(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", sorted(MISSED))
def test_the_type_of_every_wording_is_detected_but_of_the_known_ones(name: str) -> None:
    missed = {
        number
        for number, w in enumerate(wordings(name), 1)
        if detect_task_type(Question(w["prompt"]), w["is_multiple_choice"]) != w["task_type"]
    }
    assert missed == MISSED[name]


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
