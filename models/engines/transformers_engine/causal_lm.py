"""A causal language model that transformers runs: scores of continuations, and decoded text."""

import time
from collections.abc import Mapping, Sequence

import torch

from models.engines.answering.language_model import LogProbabilities, ScoringRow, WritingRow
from models.engines.answering.scoring import by_head
from models.engines.answering.token_tree import TokenTree, batches_by_budget, grow_tree, pack_trees
from models.engines.interface import EngineError
from models.engines.transformers_engine.decoding import write
from models.engines.transformers_engine.forward import ForwardModel, PrefixCache


class CausalLM(ForwardModel):
    """Implements the `AdaptedModel` protocol with the weights of one model on one machine."""

    def score_rows(self, rows: Sequence[ScoringRow], budget: int) -> LogProbabilities:
        """Score every row's continuations; what chats with one system message begin with is computed once.

        Raises:
            EngineError: the deadline has passed.
        """
        scores: LogProbabilities = [[] for _ in rows]
        for shared, indices in by_head(self, [row[0] for row in rows], [row[1] for row in rows]):
            prefix = self.prefix(shared) if shared else None
            trees = [grow_tree(rows[index][1][len(shared) :], rows[index][2]) for index in indices]
            for index, found in zip(indices, self.score(trees, prefix, budget), strict=True):
                scores[index] = found
        return scores

    def write_rows(self, rows: Sequence[WritingRow], budget: int) -> list[str]:
        """Write every row's text or labels."""
        return write(self, rows, budget)

    def score(self, trees: Sequence[TokenTree], prefix: PrefixCache | None, budget: int) -> LogProbabilities:
        """Return the log-probability of every token of every continuation of every tree.

        Trees are sorted by length and batched so that a padded batch holds at most `budget` tokens.

        Raises:
            EngineError: the deadline has passed.
        """
        started = time.perf_counter()
        scores: list[list[list[float]]] = [[] for _ in trees]
        for group in batches_by_budget([tree.length for tree in trees], budget):
            if time.monotonic() > self.deadline:
                raise EngineError("the time was over before all was scored")
            chosen = [trees[index] for index in group]
            for index, result in zip(group, self._score_batch(chosen, prefix), strict=True):
                scores[index] = result
        self.usage.prefilled(sum(tree.length for tree in trees), time.perf_counter() - started)
        return scores

    def _score_batch(self, trees: Sequence[TokenTree], prefix: PrefixCache | None) -> list[list[list[float]]]:
        packed = pack_trees(trees, len(prefix.tokens) if prefix else 0, self.pad)
        cache = prefix.expanded(len(trees)) if prefix else None
        states = self.forward(packed.input_ids, packed.position_ids, packed.mask, cache)
        rows, columns, tokens = _predictions(trees, packed.columns)
        picked = states[rows, columns]
        wanted = torch.tensor(tokens, device=picked.device)
        values: list[float] = []
        for block in self.log_probabilities(picked):
            index = wanted[len(values) : len(values) + len(block)]
            values.extend(block.gather(1, index[:, None]).squeeze(1).tolist())
        return _along_paths(trees, values)


def _predictions(
    trees: Sequence[TokenTree], columns: Sequence[Mapping[int, int]]
) -> tuple[list[int], list[int], list[int]]:
    """List for every node of every tree: its row, the column that predicts it, its token."""
    rows, where, tokens = [], [], []
    for row, (tree, column) in enumerate(zip(trees, columns, strict=True)):
        for parent, token in zip(tree.parents, tree.tokens, strict=True):
            rows.append(row)
            where.append(column[parent])
            tokens.append(token)
    return rows, where, tokens


def _along_paths(trees: Sequence[TokenTree], values: Sequence[float]) -> list[list[list[float]]]:
    scores = []
    start = 0
    for tree in trees:
        scores.append([[values[start + node] for node in path] for path in tree.paths])
        start += len(tree.tokens)
    return scores
