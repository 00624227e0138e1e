from collections import Counter
from collections.abc import Sequence
from itertools import permutations, product
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engines.answering.tokens import grow_tree
from models.engines.settings import VllmSettings
from models.engines.vllm_engine.grammar import label_grammar, labels_at_once, read_labels
from models.engines.vllm_engine.probes import MOST_ASKED, probes
from models.engines.vllm_engine.requests import Reply, Request, read_reply, sampling_fields
from tests.models.engines.fake_vllm import Grammar
from utilities.errors import UserError

CONTINUATIONS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=8)
BLOCK = 4


@given(st.lists(st.integers(4, 9), min_size=1, max_size=9), CONTINUATIONS, st.booleans())
def test_probes_score_every_token_of_every_continuation_once(
    prompt: list[int], continuations: list[list[int]], by_rows: bool
) -> None:
    tree = grow_tree(prompt, continuations)
    found = probes(tree, by_rows=by_rows)
    scored = Counter(node for probe in found for nodes in (probe.asked, *probe.rows) for node in nodes)
    assert scored == Counter(range(len(tree.tokens)))


@given(st.lists(st.integers(4, 9), min_size=1, max_size=9), CONTINUATIONS, st.booleans())
def test_a_probe_knows_the_tokens_before_what_it_asks_and_ends_in_its_chain(
    prompt: list[int], continuations: list[list[int]], by_rows: bool
) -> None:
    tree = grow_tree(prompt, continuations)
    spelled: dict[int, tuple[int, ...]] = {}
    for node, (parent, token) in enumerate(zip(tree.parents, tree.tokens, strict=True)):
        spelled[node] = (*spelled.get(parent, tuple(prompt)), token)
    for probe in probes(tree, by_rows=by_rows):
        assert all(spelled[node][:-1] == probe.tokens for node in probe.asked)
        for back, nodes in zip(range(len(probe.rows), 0, -1), probe.rows, strict=True):
            assert {spelled[node][:-1] for node in nodes} == {probe.tokens[: len(probe.tokens) - back]}
            assert by_rows or [tree.tokens[node] for node in nodes] == [probe.tokens[-back]]


@given(st.lists(st.integers(4, 9), min_size=1, max_size=9), CONTINUATIONS, st.booleans())
def test_no_row_reaches_into_what_the_probes_before_it_leave_in_the_cache(
    prompt: list[int], continuations: list[list[int]], by_rows: bool
) -> None:
    seen: list[tuple[int, ...]] = []
    for probe in probes(grow_tree(prompt, continuations), by_rows=by_rows):
        shared = max((_shared(probe.tokens, other) for other in seen), default=0)
        cached = min(shared, len(probe.tokens) - 1) // BLOCK * BLOCK
        if probe.rows:
            assert cached <= len(probe.tokens) - len(probe.rows) - 1
        seen.append(probe.tokens)


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


OPTIONS = [[10, 11, 12], [20, 21], [30, 31, 32, 33], [30, 31, 9], [30, 9]]


def test_a_request_is_asked_of_all_forks_on_its_way() -> None:
    found = probes(grow_tree([1, 2, 3], OPTIONS))
    assert [probe.tokens[3:] for probe in found] == [(10, 11), (20,), (30, 31, 32)]


def test_where_only_own_tokens_are_told_every_fork_is_a_request() -> None:
    found = probes(grow_tree([1, 2, 3], OPTIONS), by_rows=False)
    assert [probe.tokens[3:] for probe in found] == [(), (10, 11), (20,), (30,), (30, 31), (30, 31, 32)]


def test_more_labels_than_vllm_tells_at_once_are_asked_in_blocks() -> None:
    found = probes(grow_tree([1], [[token] for token in range(2, 2 + MOST_ASKED + 5)]))
    assert [len(probe.asked) for probe in found] == [MOST_ASKED, 5]


@pytest.mark.parametrize(
    ("labels", "count"), [("0 1 2 3", 1), ("1 2 3 4 5", 5), ("1 10 100", 2), ('a" b\\ ①', 3), ("7", 1)]
)
def test_a_grammar_admits_every_list_of_different_labels_and_nothing_else(labels: str, count: int) -> None:
    names = labels.split()
    grammar = Grammar(label_grammar(names, count))
    right = {" " + ", ".join(each) for each in permutations(names, count)}
    assert all(grammar.admits(each) for each in right)
    wrong = {" " + ", ".join(each) for size in range(5) for each in product(names, repeat=size)} - right
    assert not any(grammar.admits(each) for each in wrong)
    assert not any(grammar.admits(each[1:]) or grammar.admits(f"{each},") for each in right)


def test_a_list_that_goes_on_ends_in_a_comma() -> None:
    grammar = Grammar(label_grammar(["1", "12", "2"], 2, ends=False))
    assert grammar.admits(" 1, 12,")
    assert not grammar.admits(" 1, 12")


@pytest.mark.parametrize(
    ("labels", "count", "at_once"), [(5, 5, 5), (15, 3, 3), (10, 3, 3), (30, 4, 3), (100, 2, 2), (1000, 3, 1)]
)
def test_one_grammar_lists_as_many_labels_as_it_has_rules_for(labels: int, count: int, at_once: int) -> None:
    assert labels_at_once(labels, count) == at_once


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" 1, 12, 2", ["1", "12", "2"]),
        (" 12,", ["12"]),
        (" 12, ", ["12"]),
        ("", []),
        (" 3", []),
        (" a,b, 2", ["a,b", "2"]),
    ],
)
def test_labels_are_read_from_a_list_that_may_break_off(text: str, found: list[str]) -> None:
    assert read_labels(text, ["1", "2", "12", "a,b"]) == found


def output(tokens: Sequence[int], **fields: Any) -> SimpleNamespace:
    completion = SimpleNamespace(token_ids=list(tokens), text="", logprobs=fields.pop("logprobs", None))
    base = {"num_cached_tokens": 0, "finished": False, "prompt_logprobs": None}
    return SimpleNamespace(outputs=[completion], **{**base, **fields})


def test_a_text_is_cut_at_the_token_that_completes_it_when_several_come_at_once() -> None:
    request = Request([1], limit=9, is_complete=lambda tokens: tokens[-1] == 5)
    reply = Reply()
    read_reply(request, output([3]), reply, 0.5)
    assert (reply.tokens, reply.done, reply.first) == ([3], False, 0.5)
    read_reply(request, output([3, 4, 5, 6, 7]), reply, 0.9)
    assert (reply.tokens, reply.done, reply.first) == ([3, 4, 5], True, 0.5)


def test_of_a_prompt_that_is_partly_cached_the_computed_tokens_count_as_read() -> None:
    reply = Reply()
    read_reply(Request(range(40)), output([1], num_cached_tokens=32, finished=True), reply, 0.1)
    assert (reply.read, reply.done) == (8, True)


def test_scores_of_cached_tokens_are_not_believed() -> None:
    request = Request([1, 2, 3, 4], rows=[[3], [4]])
    places = [None, *({token: SimpleNamespace(logprob=-float(token))} for token in (2, 3, 4))]
    for cached, expected in [(0, [[-3.0], [-4.0]]), (1, [[-3.0], [-4.0]]), (2, None), (3, None)]:
        reply = Reply()
        read_reply(request, output([9], prompt_logprobs=places, num_cached_tokens=cached, finished=True), reply, 0.1)
        assert reply.rows == expected


def test_the_second_runner_is_asked_for_rows_alone() -> None:
    fields = sampling_fields(Request([1, 2, 3, 4], rows=[[3], [4]], asked=(7, 8)), by_rows=True)
    assert (fields["prompt_logprob_start"], fields["prompt_logprob_token_ids"]) == (1, [[3], [4]])
    assert fields["logprob_token_ids"] == [7, 8]
    assert fields["skip_reading_prefix_cache"] is False
    assert "prompt_logprobs" not in fields


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tensor_parallel", 0),
        ("pipeline_parallel", -1),
        ("data_parallel", 0),
        ("distributed_backend", "mpi"),
        ("max_model_len", 16),
        ("memory_fraction", 0.0),
        ("memory_fraction", 1.0),
    ],
)
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(UserError, match=f"engine.vllm.{field}"):
        VllmSettings(**{field: value})  # type: ignore[arg-type]
