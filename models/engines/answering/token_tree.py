"""One prompt and its possible continuations as one row of tokens, so that what they share is computed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TokenTree:
    """A prompt's tokens followed by a trie of continuations.

    The continuations are merged where they begin alike; `parents[n]` is the node before node n, -1 for the prompt's
    last token. `paths[c]` are the nodes of continuation c, in order. A node that ends every continuation through it
    predicts nothing, so it takes part in no forward pass: `inner` lists the nodes that do.
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]
    inner: tuple[int, ...]

    @property
    def length(self) -> int:
        """How many tokens the forward pass sees."""
        return len(self.prompt) + len(self.inner)


def grow_tree(prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> TokenTree:
    """Merge `continuations` into a trie behind `prompt`.

    Raises:
        ValueError: the prompt or a continuation has no token.
    """
    if not prompt or not all(continuations):
        raise ValueError("a token tree needs a prompt and continuations of at least one token")
    nodes: dict[tuple[int, int], int] = {}
    paths = []
    for continuation in continuations:
        path: list[int] = []
        for token in continuation:
            edge = (path[-1] if path else -1, token)
            path.append(nodes.setdefault(edge, len(nodes)))
        paths.append(tuple(path))
    parents = tuple(parent for parent, _ in nodes)
    inner = tuple(sorted(set(parents) - {-1}))
    return TokenTree(tuple(prompt), tuple(token for _, token in nodes), parents, tuple(paths), inner)


@dataclass(frozen=True)
class PackedTrees:
    """Token trees as one left-padded batch.

    `input_ids` and `position_ids` are [batch, length]; `mask` is [batch, 1, length, past + length], true where a token
    may look. `columns[b][n]` is the column of inner node n of row b; the prompt's last token has key -1.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    mask: torch.Tensor
    columns: tuple[dict[int, int], ...]


def pack_trees(trees: Sequence[TokenTree], past: int, pad: int) -> PackedTrees:
    """Pack `trees` behind `past` cached tokens; a node sees the prompt, its own ancestors and itself."""
    width = max(tree.length for tree in trees)
    ids = torch.full((len(trees), width), pad, dtype=torch.long)
    positions = torch.zeros((len(trees), width), dtype=torch.long)
    sees = torch.zeros((len(trees), 1, width, past + width), dtype=torch.bool)
    sees[:, 0, :, past:] = torch.eye(width, dtype=torch.bool)
    columns = []
    for row, tree in enumerate(trees):
        start = width - tree.length
        columns.append(_columns(tree, start))
        _fill_row(tree, start, past, ids[row], positions[row], sees[row, 0])
    return PackedTrees(ids, positions, sees, tuple(columns))


def _columns(tree: TokenTree, start: int) -> dict[int, int]:
    first = start + len(tree.prompt)
    return {-1: first - 1, **{node: first + rank for rank, node in enumerate(tree.inner)}}


def _fill_row(
    tree: TokenTree, start: int, past: int, ids: torch.Tensor, positions: torch.Tensor, sees: torch.Tensor
) -> None:
    size = len(tree.prompt)
    end = start + size
    ids[start:end] = torch.tensor(tree.prompt)
    positions[start:end] = torch.arange(past, past + size)
    sees[start:, :past] = True
    sees[start:end, past + start : past + end] = torch.ones(size, size, dtype=torch.bool).tril()
    columns = _columns(tree, start)
    for node in tree.inner:
        column, before = columns[node], columns[tree.parents[node]]
        ids[column] = tree.tokens[node]
        positions[column] = positions[before] + 1
        sees[column, past + start :] = sees[before, past + start :]
        sees[column, past + column] = True


def batches_by_budget(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group indices, longest first, so that no group's padded size (rows x longest row) is over `budget` tokens.

    A row that is longer than the budget makes a group of its own.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fits = groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= budget
        if fits:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
