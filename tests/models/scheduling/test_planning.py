import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engines.interface import NO_LIMIT, Answer, Usage
from models.engines.scripted import ScriptedEngine
from models.engines.settings import EngineSettings
from models.scheduling.asking import Asking, Missing, combined
from models.scheduling.clock import Allowance, ClockSettings
from models.scheduling.planning import EVIDENCE, Speed, Work, efforts, plan, together, work_of
from prompts.multiple_choice import build
from prompts.orders import reorderings, scores_in_order
from prompts.prompt import Choice, Prompt, Selection, Spans, Text
from prompts.reading import Question
from prompts.settings import PromptSettings

ENGINE, LABELS = EngineSettings(), EngineSettings(choice="label", selection="label")
CLOCK, ORDERS = ClockSettings(), ClockSettings(spare="orders", orders=3)
CHOICE = build(Question("Which holds water?\n0. a fork\n1. a bottle\n2. a lamp\n3. a book\nAnswer:"), PromptSettings())
TEXT = Prompt("You help.", "Describe it.", Text(30), fallback="It is.")
SPANS = Prompt("You help.", "Query: red mug", Spans("red mug", 1, 2), fallback="mug")


def names(prompt: Prompt, engine: EngineSettings = ENGINE, clock: ClockSettings = CLOCK) -> list[str]:
    return [effort.name for effort in efforts(prompt, engine, clock)]


def test_every_prompt_ends_in_evidence_and_has_one_planned_effort() -> None:
    for prompt in (CHOICE, TEXT, SPANS):
        listed = names(prompt)
        assert listed[-1] == "evidence"
        assert listed.count("planned") == 1


def test_options_scored_by_texts_can_be_cut_to_their_labels() -> None:
    assert names(CHOICE) == ["planned", "label", "evidence"]
    assert efforts(CHOICE, ENGINE, CLOCK)[1].way == "label"


def test_labels_get_orders_or_decoding_from_spare_time() -> None:
    assert names(CHOICE, LABELS) == ["planned", "evidence"]
    assert names(CHOICE, LABELS, ORDERS) == ["orders", "planned", "evidence"]
    assert len(efforts(CHOICE, LABELS, ORDERS)[0].prompts) == 3
    assert names(CHOICE, LABELS, ClockSettings(spare="decode")) == ["decode", "planned", "evidence"]


def test_a_text_can_be_cut_to_a_third_of_its_words_unless_it_must_keep_some() -> None:
    assert names(TEXT) == ["planned", "short", "evidence"]
    short = efforts(TEXT, ENGINE, CLOCK)[1].prompts[0].space
    assert short == Text(10)
    assert names(replace(TEXT, space=Text(30, keep=("XK-200",)))) == ["planned", "evidence"]


def test_work_is_what_is_read_and_what_is_written_one_after_the_other() -> None:
    space = Choice(("0", "1"), ("abcd", "efghij"))
    prompt = Prompt("system", "the question", space, "0", bare="question")
    assert work_of(prompt, "label") == Work(6 + 12)
    assert work_of(prompt, "text") == Work(8 + 10)
    assert work_of(prompt, "pmi") == Work(8 + 2 * 10)
    assert work_of(prompt, "decode") == Work(18, 2)
    assert work_of(TEXT, "write") == Work(9 + 12, 60)
    assert together([Work(3, 5), Work(4, 2)]) == Work(7, 5)


def measured(seconds_per_token: float = 0.01, seconds_per_step: float = 0.1) -> Speed:
    """A speed of one token a character."""
    speed = Speed(Usage(1000, 1000 * seconds_per_token, 10, 10, 10 * seconds_per_step))
    speed.learn(Work(1000, 10), Usage(2000, 2000 * seconds_per_token, 20, 20, 20 * seconds_per_step), 0.0)
    speed.learn(Work(1000, 10), Usage(3000, 3000 * seconds_per_token, 30, 30, 30 * seconds_per_step), 11.0)
    return speed


def test_a_speed_predicts_what_it_measured() -> None:
    speed = Speed(Usage(100, 1.0, 10, 10, 2.0))
    assert speed.prefill_tokens_per_second == pytest.approx(100)
    assert speed.decode_steps_per_second == pytest.approx(5)
    for round_ in range(2, 8):
        speed.learn(Work(400, 10), Usage(100 * round_, 1.0 * round_, 10 * round_, 10, 2.0 * round_), 3.0)
    assert speed.predict(Work(400, 10)) == pytest.approx(3.0, rel=0.01)


def test_an_engine_that_becomes_ten_times_slower_is_believed_after_one_batch() -> None:
    speed = Speed(Usage(100, 1.0, 10, 10, 2.0))
    for round_ in range(2, 6):
        speed.learn(Work(400, 10), Usage(100 * round_, 1.0 * round_, 10 * round_, 10, 2.0 * round_), 3.0)
    speed.learn(Work(400, 10), Usage(600, 15.0, 60, 10, 30.0), 30.0)
    assert speed.predict(Work(400, 10)) > 12.0


def test_time_that_no_usage_explains_is_expected_again() -> None:
    speed = Speed(Usage())
    for _ in range(6):
        speed.learn(Work(100, 0), Usage(), 5.0)
    assert speed.predict(Work(100, 0)) == pytest.approx(5.0, rel=0.1)


def test_with_enough_time_everything_is_done_as_planned() -> None:
    choices = [efforts(prompt, ENGINE, CLOCK) for prompt in (CHOICE, TEXT, SPANS)]
    assert [effort.name for effort in plan(choices, measured(), 1e6)] == ["planned"] * 3


def test_with_no_time_at_all_only_evidence_is_left() -> None:
    choices = [efforts(prompt, ENGINE, CLOCK) for prompt in (CHOICE, TEXT, SPANS)]
    assert plan(choices, measured(), 0.0) == [EVIDENCE] * 3


@given(st.floats(0.0, 40.0), st.floats(1e-4, 0.1), st.floats(1e-3, 1.0))
def test_a_plan_never_takes_longer_than_the_time_there_is(
    seconds: float, seconds_per_token: float, seconds_per_step: float
) -> None:
    speed = measured(seconds_per_token, seconds_per_step)
    chosen = plan([efforts(prompt, LABELS, ORDERS) for prompt in (CHOICE, TEXT, SPANS, CHOICE)], speed, seconds)
    asked = [effort.work for effort in chosen if effort is not EVIDENCE]
    assert not asked or speed.predict(together(asked)) <= seconds


def test_spare_time_goes_to_options_only_when_half_of_it_suffices() -> None:
    choices = [efforts(CHOICE, LABELS, ORDERS)]
    speed = measured()
    needed = speed.predict(choices[0][0].work)
    assert plan(choices, speed, 2.1 * needed)[0].name == "orders"
    assert plan(choices, speed, 1.9 * needed)[0].name == "planned"


def test_what_saves_most_is_cut_first() -> None:
    choices = [efforts(prompt, ENGINE, CLOCK) for prompt in (TEXT, CHOICE)]
    speed = measured()
    all_planned = speed.predict(together([choice[0].work for choice in choices]))
    assert [effort.name for effort in plan(choices, speed, 0.9 * all_planned)] == ["short", "planned"]


def test_reorderings_hold_the_same_texts_behind_the_same_labels() -> None:
    made = reorderings(CHOICE, 5)
    assert len(made) == 5
    assert isinstance(CHOICE.space, Choice)
    assert isinstance(made[0].space, Choice)
    assert made[0].space.texts == tuple(reversed(CHOICE.space.texts))
    assert "0. a book\n1. a lamp\n2. a bottle\n3. a fork\nAnswer:" in made[0].user
    for other in made:
        assert isinstance(other.space, Choice)
        assert other.space.labels == CHOICE.space.labels
        assert sorted(other.space.texts) == sorted(CHOICE.space.texts)
        assert all(f"{label}. {text}" in other.user for label, text in zip(*spaced(other), strict=True))
    assert len({other.user for other in made}) == 5
    assert reorderings(CHOICE, 5) == made


def spaced(prompt: Prompt) -> tuple[Sequence[str], Sequence[str]]:
    assert isinstance(prompt.space, Choice)
    return prompt.space.labels, prompt.space.texts


@pytest.mark.parametrize(
    "question",
    [
        "Pick.\n1. 1\n2. 12\n3. 2\n4. 1. 2",
        "Pick one: 1) red 2) blue 3) green",
        "Pick.\n① 水筒\n② ランプ\n③ 本",
        "Pick.\n0. same\n1. same\n2. other",
    ],
)
def test_a_reordered_question_is_read_back_or_not_used(question: str) -> None:
    prompt = build(Question(question), PromptSettings())
    assert isinstance(prompt.space, Choice)
    for other in reorderings(prompt, 3):
        again = build(Question(other.user), PromptSettings())
        assert again.space == other.space


def test_a_prompt_without_a_list_has_no_other_order() -> None:
    assert reorderings(TEXT, 3) == ()
    assert reorderings(Prompt("", "Rate it from 1 to 3.", Choice(("1", "2", "3")), "1"), 3) == ()
    assert reorderings(Prompt("", "No list.", Choice(("1", "2"), ("a", "b")), "1"), 3) == ()


def test_scores_are_brought_back_into_the_first_order() -> None:
    first = Prompt("", "", Choice(("0", "1", "2"), ("a", "b", "a")), "0")
    other = replace(first, space=Choice(("0", "1", "2"), ("b", "a", "a")))
    assert scores_in_order(first, other, (1.0, 2.0, 3.0)) == (2.0, 1.0, 3.0)


def test_a_preference_for_the_first_place_cancels_out() -> None:
    space = Choice(("0", "1"), ("cup", "mug"))
    first = Prompt("", "", space, "0")
    second = replace(first, space=Choice(("0", "1"), ("mug", "cup")))
    likes_place = Answer("0", (math.log(0.6), math.log(0.4)))
    likes_mug = Answer("0", (math.log(0.9), math.log(0.1)))
    answer = combined((first, second), (likes_place, likes_mug))
    assert answer.text == "1"
    assert answer.scores == pytest.approx((math.log(0.35), math.log(0.65)))


def test_an_order_without_scores_leaves_the_first_answer() -> None:
    first = Prompt("", "", Selection(("0", "1"), 1, ("cup", "mug")), "0")
    assert combined((first, first), (Answer("1"), Answer("0", (0.0, 1.0)))) == Answer("1")


def allowance(seconds: float, limit: float) -> Allowance:
    return Allowance(0.0, seconds, limit)


def test_spare_time_asks_several_orders_and_says_so() -> None:
    engine = ScriptedEngine(lambda _: Answer("0", (0.0, -1.0, -2.0, -3.0)))
    asking = Asking(engine, LABELS, ORDERS, now=lambda: 0.0)
    (answer,) = asking.answers([CHOICE], allowance(1e4, 1e4))
    assert len(engine.seen) == 3
    assert isinstance(answer, Answer)
    assert asking.events == {"questions answered by orders": 1}


def test_an_engine_that_was_slow_once_is_asked_again() -> None:
    engine = Slow(0.1)
    asking = Asking(engine, ENGINE, CLOCK, now=lambda: engine.time)
    asking.speed.learn(Work(100, 0), Usage(), 1e6)
    batches = [asking.answers([CHOICE], Allowance(engine.time, 8.0, 8.0)) for _ in range(3)]
    assert all(isinstance(answer, Answer) for (answer,) in batches)
    many = asking.answers([CHOICE] * 16, Allowance(engine.time, 128.0, 128.0))
    assert all(isinstance(answer, Answer) for answer in many)


def test_without_time_nothing_is_asked() -> None:
    engine = ScriptedEngine()
    asking = Asking(engine, ENGINE, CLOCK, now=lambda: 0.0)
    assert asking.answers([CHOICE, TEXT], allowance(0.0, 100.0)) == [Missing("out of time")] * 2
    assert asking.answers([CHOICE], allowance(100.0, 0.1)) == [Missing("out of time")]
    assert engine.seen == []


class Slow:
    """Takes a fixed time for each prompt, on a clock of its own."""

    def __init__(self, seconds: float) -> None:
        self.time, self.seconds, self.calls = 0.0, seconds, list[list[str]]()

    def answer(
        self,
        prompts: Sequence[Prompt],
        ways: Sequence[str] | None = None,
        seconds: float = NO_LIMIT,
    ) -> list[Answer]:
        self.time += self.seconds * len(prompts)
        self.calls.append(list(ways or ()))
        return [Answer(prompt.fallback) for prompt in prompts]

    def usage(self) -> Usage:
        return Usage()

    def describe(self) -> dict[str, object]:
        return {}


@pytest.mark.parametrize("seconds", [0.01, 0.3, 1.0, 4.0, 7.0])
def test_a_batch_ends_before_the_evaluators_limit_however_slow_the_engine_is(seconds: float) -> None:
    engine = Slow(seconds)
    asking = Asking(engine, ENGINE, CLOCK, now=lambda: engine.time)
    for _ in range(3):
        began = engine.time
        answers = asking.answers([CHOICE, TEXT, SPANS, CHOICE] * 4, Allowance(began, 100.0, 100.0))
        assert len(answers) == 16
        assert engine.time - began < 100.0 + seconds
    if seconds == 0.01:
        assert asking.events == {}
    if seconds >= 7.0:
        assert any(isinstance(answer, Missing) for answer in answers)
