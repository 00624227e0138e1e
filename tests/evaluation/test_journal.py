"""A run that was killed continues with the next batch, and ends with the scores of a run that was not."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from evaluation.journal import AnsweredBatch, Journal, risen, summed
from evaluation.loop import predict
from evaluation.questions import QuestionRow
from evaluation.run_record import journal_of, record_run
from models.traced_question import TracedQuestion
from utilities.task_type import TaskType

KEY: Mapping[str, object] = {"data": "a", "settings": {"engine": {"adapter": "one"}, "clock": {"share": 0.8}}}
TRACED = TracedQuestion(
    "generation", "You help.", "Why? \ud800", "", "", False, "write", "", (), (), {}, (), (), "so", "", 0.25, 1.0, 2.0
)
BATCHES = [
    AnsweredBatch((2, 0), ("a", "赤い \ud800"), 1.5, (TRACED, TRACED), {"fallbacks": {"out of time": 1}}),
    AnsweredBatch((1,), ("b",), 0.5, (TRACED,), {"events": {"engine died": 2}, "speed": {"prefill_tokens": 7}}),
]


def journal(path: Path, batches: Sequence[AnsweredBatch] = BATCHES, key: Mapping[str, object] = KEY) -> Journal:
    made = Journal(path / "unfinished.jsonl", key)
    for batch in batches:
        made.add(batch)
    return made


def test_answered_batches_come_back_as_they_were(tmp_path: Path) -> None:
    journal(tmp_path)
    again = Journal(tmp_path / "unfinished.jsonl", KEY)
    assert again.note.endswith("3 questions were answered before the run was ended; it continues")
    assert [again.answered((2, 0)), again.answered((1,))] == BATCHES
    assert again.answered((3,)) is None


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_half_written_line_is_asked_again(tmp_path: Path, cut: int) -> None:
    journal(tmp_path)
    path = tmp_path / "unfinished.jsonl"
    path.write_bytes(path.read_bytes()[: -1 - cut])
    again = Journal(path, KEY)
    assert (again.answered((2, 0)), again.answered((1,))) == (BATCHES[0], None)
    again.add(BATCHES[1])
    whole = Journal(path, KEY)
    assert [whole.answered((2, 0)), whole.answered((1,))] == BATCHES


@pytest.mark.parametrize(
    ("key", "difference"),
    [
        ({**KEY, "data": "b"}, "data was 'a' and is 'b'"),
        ({**KEY, "settings": {"engine": {"adapter": "two"}}}, "settings.clock.share was 0.8 and is None"),
        ({"data": "a", "settings": {"engine": {"adapter": "two"}, "clock": {"share": 0.8}}}, "settings.engine.adapter"),
    ],
)
def test_a_journal_of_another_run_is_named_and_not_used(
    tmp_path: Path, key: Mapping[str, object], difference: str
) -> None:
    journal(tmp_path)
    other = Journal(tmp_path / "unfinished.jsonl", key)
    assert difference in other.note
    assert other.answered((2, 0)) is None
    assert Journal(tmp_path / "unfinished.jsonl", key).note.startswith(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"[1, 2", b"{}\n{}\n"])
def test_a_damaged_journal_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "unfinished.jsonl").write_bytes(content)
    begun = journal(tmp_path)
    assert "every question is asked anew" in begun.note
    assert Journal(tmp_path / "unfinished.jsonl", KEY).answered((2, 0)) == BATCHES[0]


def test_a_journal_whose_first_line_has_the_same_values_in_another_form_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "unfinished.jsonl"
    path.write_text(json.dumps(KEY, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")
    assert "its first line was changed" in journal(tmp_path).note


def test_other_batches_than_those_of_the_journal_are_asked(tmp_path: Path) -> None:
    journal(tmp_path)
    again = Journal(tmp_path / "unfinished.jsonl", KEY)
    assert again.answered((2,)) is None
    assert again.answered((2, 0)) is None  # what follows another batch is not known either


def test_counts_rise_by_what_a_batch_added_and_begin_at_0_with_a_new_process() -> None:
    before = {"events": {"a": 3, "b": 1}, "speed": {"prefill_tokens": 100}}
    now = {"events": {"a": 5, "b": 1, "c": 1}, "speed": {"prefill_tokens": 40}}
    assert risen(before, now) == {"events": {"a": 2, "c": 1}, "speed": {"prefill_tokens": 40}}
    assert summed(BATCHES) == {
        "fallbacks": {"out of time": 1},
        "events": {"engine died": 2},
        "speed": {"prefill_tokens": 7},
    }


class KilledError(Exception):
    """Stands for the signal that ends a run."""


class Counting:
    """Answers with the prompt in capitals, counts a fallback for each "x", and dies before a batch."""

    def __init__(self, dies_before: int = 1000) -> None:
        self.fallbacks = {"odd": 0}
        self.asked: list[str] = []
        self._left = dies_before

    def get_batch_size(self) -> int:
        return 3

    def describe(self) -> dict[str, object]:
        return {"settings": {"a": 1}, "weights": "w", "speed": {"prefill_tokens": 10 * len(self.asked), "rate": 5.0}}

    def batch_predict(self, batch: dict[str, list[str]], is_multiple_choice: bool) -> list[str]:
        if not self._left:
            raise KilledError
        self._left -= 1
        self.asked += batch["prompt"]
        self.fallbacks["odd"] += batch["prompt"].count("x")
        return [text.upper() for text in batch["prompt"]]


QUESTIONS = [
    QuestionRow(text, "a", "task", task_type, "rougel", False, "1")
    for task_type in (TaskType.RANKING, TaskType.GENERATION)
    for text in "abxcxdefgh"
]


@pytest.mark.parametrize("batches", range(8))
def test_a_killed_run_ends_like_one_that_was_not_killed(tmp_path: Path, batches: int) -> None:
    data = tmp_path / "data.json"
    data.write_text("[]", encoding="utf-8")
    dying = Counting(batches)
    opened = journal_of(dying, data, QUESTIONS, tmp_path)
    with contextlib.suppress(KilledError):
        predict(dying, QUESTIONS, journal=opened)
    model, whole = Counting(), Counting()
    continued = predict(model, QUESTIONS, journal=journal_of(model, data, QUESTIONS, tmp_path))
    alone = predict(whole, QUESTIONS)
    assert len(model.asked) == len(QUESTIONS) - len(
        continued.answers[: sum(b.questions for b in alone.batches[:batches])]
    )
    found, expected = (record_run(m, p, 0.0).to_json() for m, p in ((model, continued), (whole, alone)))
    del found["seconds"], expected["seconds"]
    assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)
    assert (continued.answers, continued.batch_of) == (alone.answers, alone.batch_of)


def test_a_run_with_exemplars_of_earlier_questions_has_no_journal(tmp_path: Path) -> None:
    class Remembering(Counting):
        def describe(self) -> dict[str, object]:
            return {"settings": {"prompts": {"dynamic_exemplars": True}}}

    data = tmp_path / "data.json"
    data.write_text("[]", encoding="utf-8")
    assert journal_of(Remembering(), data, QUESTIONS, tmp_path) is None
