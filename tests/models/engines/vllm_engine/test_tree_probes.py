"""The probes of a token tree: every node is scored once, and no row lies in the prefix cache."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.engines.answering.tokens import grow_tree
from models.engines.vllm_engine.tree_scoring import MOST_ASKED, probes

pytestmark = pytest.mark.slow

CONTINUATIONS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=8)
BLOCK = 4


@settings(deadline=None)
@given(st.lists(st.integers(4, 9), min_size=1, max_size=9), CONTINUATIONS, st.booleans())
def test_probes_score_every_token_of_every_continuation_once(
    prompt: list[int], continuations: list[list[int]], by_rows: bool
) -> None:
    tree = grow_tree(prompt, continuations)
    found = probes(tree, by_rows=by_rows)
    scored = Counter(node for probe in found for nodes in (probe.asked, *probe.rows) for node in nodes)
    assert scored == Counter(range(len(tree.tokens)))


@settings(deadline=None)
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


@settings(deadline=None)
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
