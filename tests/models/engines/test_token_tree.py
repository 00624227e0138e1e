import math
from collections.abc import Sequence
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.engines.answering.tokens import TokenTree, batches_by_budget, grow_tree, pack_trees

pytestmark = pytest.mark.slow

TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=5)
CONTINUATIONS = st.lists(TOKENS, max_size=6)
TREES = st.builds(grow_tree, TOKENS, CONTINUATIONS)


def ancestors(tree: TokenTree, node: int) -> list[int]:
    """The nodes above `node` and itself, from the top."""
    path = [node]
    while tree.parents[path[0]] >= 0:
        path.insert(0, tree.parents[path[0]])
    return path


@given(TOKENS, CONTINUATIONS)
def test_every_path_spells_its_continuation_from_the_top(prompt: list[int], continuations: list[list[int]]) -> None:
    tree = grow_tree(prompt, continuations)
    assert tree.prompt == tuple(prompt)
    assert [[tree.tokens[node] for node in path] for path in tree.paths] == continuations
    assert all(ancestors(tree, path[-1]) == list(path) for path in tree.paths)


@given(TOKENS, CONTINUATIONS)
def test_what_continuations_share_is_there_once(prompt: list[int], continuations: list[list[int]]) -> None:
    beginnings = {tuple(c[:size]) for c in continuations for size in range(1, len(c) + 1)}
    tree = grow_tree(prompt, continuations)
    assert len(tree.tokens) == len(tree.parents) == len(beginnings)


@given(TREES)
def test_only_nodes_that_predict_something_enter_the_forward_pass(tree: TokenTree) -> None:
    assert set(tree.inner) == {parent for parent in tree.parents if parent >= 0}
    assert tree.length == len(tree.prompt) + len(tree.inner)


def test_a_label_that_begins_another_costs_one_token_more() -> None:
    assert grow_tree([9], [[1], [2], [3]]).length == 1
    assert grow_tree([9], [[1], [1, 0], [1, 1], [1, 2]]).length == 2


@pytest.mark.parametrize(("prompt", "continuations"), [([], [[1]]), ([1], [[2], []])])
def test_an_empty_prompt_or_continuation_is_refused(prompt: list[int], continuations: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        grow_tree(prompt, continuations)


@given(st.lists(TREES, min_size=1, max_size=4), st.integers(0, 3))
def test_a_node_sees_the_prefix_the_prompt_its_ancestors_and_itself_and_nothing_else(
    trees: list[TokenTree], past: int
) -> None:
    packed = pack_trees(trees, past, pad=7)
    width = max(tree.length for tree in trees)
    assert packed.mask.shape == (len(trees), 1, width, past + width)
    for row, tree in enumerate(trees):
        columns = packed.columns[row]
        prompt = list(range(width - tree.length, width - tree.length + len(tree.prompt)))
        for node in tree.inner:
            path = [columns[above] for above in ancestors(tree, node)]
            seen = torch.nonzero(packed.mask[row, 0, columns[node]]).flatten().tolist()
            assert seen == sorted([*range(past), *(past + column for column in [*prompt, *path])])
            assert packed.position_ids[row, columns[node]] == past + len(prompt) + len(path) - 1
            assert packed.input_ids[row, columns[node]] == tree.tokens[node]


@given(st.lists(TREES, min_size=1, max_size=4), st.integers(0, 3))
def test_prompts_are_padded_on_the_left_and_causal(trees: list[TokenTree], past: int) -> None:
    packed = pack_trees(trees, past, pad=7)
    width = packed.input_ids.shape[1]
    for row, tree in enumerate(trees):
        start, size = width - tree.length, len(tree.prompt)
        assert packed.input_ids[row, :start].tolist() == [7] * start
        assert packed.input_ids[row, start : start + size].tolist() == list(tree.prompt)
        assert packed.position_ids[row, start : start + size].tolist() == list(range(past, past + size))
        for index in range(size):
            seen = torch.nonzero(packed.mask[row, 0, start + index]).flatten().tolist()
            assert seen == [*range(past), *range(past + start, past + start + index + 1)]


@given(st.lists(TREES, min_size=1, max_size=4), st.integers(0, 3))
def test_every_row_of_the_mask_looks_somewhere(trees: list[TokenTree], past: int) -> None:
    """Softmax over nothing is not a number, and one such padding row spoils no other only by luck."""
    assert pack_trees(trees, past, pad=7).mask.any(dim=-1).all()


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(1, 100))
def test_batches_hold_every_index_once_within_the_budget_longest_first(lengths: list[int], budget: int) -> None:
    groups = batches_by_budget(lengths, budget)
    order = [index for group in groups for index in group]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths, reverse=True)
    assert all(len(group) == 1 or len(group) * max(lengths[i] for i in group) <= budget for group in groups)


def padded(lengths: Sequence[int], groups: Sequence[Sequence[int]], cost: int) -> int:
    return sum(len(group) * max(lengths[index] for index in group) + cost for group in groups)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=7), st.integers(1, 100), st.integers(0, 50))
def test_no_other_batches_of_neighbours_have_fewer_padded_tokens(lengths: list[int], budget: int, cost: int) -> None:
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    least = math.inf
    for cuts in product([False, True], repeat=len(order) - 1):
        groups = [[order[0]]]
        for index, cut in zip(order[1:], cuts, strict=True):
            groups = [*groups, [index]] if cut else [*groups[:-1], [*groups[-1], index]]
        if all(len(group) == 1 or len(group) * lengths[group[0]] <= budget for group in groups):
            least = min(least, padded(lengths, groups, cost))
    assert padded(lengths, batches_by_budget(lengths, budget, cost), cost) == least


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_a_large_budget_makes_one_batch(lengths: list[int]) -> None:
    assert len(batches_by_budget(lengths, 40 * 30)) == 1
