from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.engines.answering.tokens import ScoringSettings
from models.engines.answering.writing import LabelList, decode_labels
from models.engines.transformers_engine.engine import CausalLM
from prompts.prompt import AnswerSpace, Choice, Prompt, Selection, admits

pytestmark = pytest.mark.slow

LIMITS = ScoringSettings(512, 256)
NUMBERS = tuple(str(number) for number in range(1, 16))
TRICKY = [
    ("0", "1", "2", "3"),
    NUMBERS,
    ("1", "12", "123"),  # labels that begin others
    ("2", "21", "211", "1", "11"),
    ("7",),
    ("1", "10"),
    ("01", "1", "001"),
    ("a", "ab", "abc", "b"),
    ("１", "①", "十"),
]
LABELS = st.one_of(
    st.sampled_from(TRICKY),
    st.lists(st.integers(0, 150).map(str), min_size=1, max_size=8, unique=True).map(tuple),
)
WITH_MODEL = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def spaces(draw: st.DrawFn) -> Choice | Selection:
    labels = draw(LABELS)
    if draw(st.booleans()):
        return Choice(labels)
    return Selection(labels, draw(st.integers(1, len(labels))))


def prompt_of(space: AnswerSpace, question: str = "Which?", cue: str = "Answer:") -> Prompt:
    return Prompt("You sell mugs.", question, space, fallback="1", cue=cue)


@WITH_MODEL
@given(st.lists(spaces(), min_size=1, max_size=4), st.lists(st.text(max_size=40), min_size=4, max_size=4))
def test_whatever_the_labels_the_decoded_answer_is_admitted(
    tiny_model: CausalLM, asked: list[Choice | Selection], questions: list[str]
) -> None:
    prompts = [
        prompt_of(space, question.encode(errors="replace").decode())
        for space, question in zip(asked, questions, strict=False)
    ]
    answers = decode_labels(tiny_model, prompts, LIMITS)
    assert [admits(space, answer.text) for space, answer in zip(asked, answers, strict=True)] == [True] * len(asked)


@pytest.mark.parametrize("labels", TRICKY)
@pytest.mark.parametrize("cue", ["Answer:", ""])
def test_labels_that_begin_others_can_all_be_given(tiny_model: CausalLM, labels: tuple[str, ...], cue: str) -> None:
    space = Selection(labels, len(labels))
    answer = decode_labels(tiny_model, [prompt_of(space, cue=cue)], LIMITS)[0]
    assert admits(space, answer.text)
    assert answer.scores == ()


@WITH_MODEL
@given(spaces(), st.data())
def test_any_walk_through_the_allowed_tokens_ends_in_an_answer(
    tiny_model: CausalLM, space: Choice | Selection, data: st.DataObject
) -> None:
    """Not only the walk that the model takes: no choice of tokens may lead to a repeated label or a dead end."""
    grammar = LabelList(tiny_model, space)
    tokens: list[int] = []
    while following := grammar.allowed(tokens):
        assert len(set(following)) == len(following)
        assert len(tokens) < grammar.longest
        tokens.append(data.draw(st.sampled_from(following)))
    assert admits(space, grammar.read(tokens)), tokens


def walks(grammar: LabelList, tokens: Sequence[int] = ()) -> set[str]:
    """The answers of every walk through the grammar."""
    following = grammar.allowed(tokens)
    if not following:
        return {grammar.read(tokens)}
    return set().union(*(walks(grammar, [*tokens, token]) for token in following))


def test_a_label_is_never_offered_twice_and_every_order_can_be_written(tiny_model: CausalLM) -> None:
    grammar = LabelList(tiny_model, Selection(("1", "12", "2"), 2))
    assert walks(grammar) == {"1, 12", "1, 2", "12, 1", "12, 2", "2, 1", "2, 12"}


def test_every_label_of_a_choice_can_be_written(tiny_model: CausalLM) -> None:
    assert walks(LabelList(tiny_model, Choice(NUMBERS))) == set(NUMBERS)


def test_all_labels_are_written_when_all_are_asked_for(tiny_model: CausalLM) -> None:
    answer = decode_labels(tiny_model, [prompt_of(Selection(NUMBERS, 15))], LIMITS)[0]
    assert sorted(answer.text.split(", "), key=int) == list(NUMBERS)
