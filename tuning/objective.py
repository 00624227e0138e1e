"""The loss of a batch of examples, from a forward pass that projects answer tokens alone onto the vocabulary."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from evaluation.metrics import ndcg
from models.engines.answering.tokens import TokenTree, pack_trees
from retrieval.lexical import best_first
from tuning.examples import Example, Term


@contextmanager
def _projecting(head: nn.Module, rows: torch.Tensor, columns: torch.Tensor) -> Iterator[None]:
    """Make a model's output embeddings project only these positions of its states [batch, length, size].

    The model then returns logits [positions, vocabulary]. The full logits are most of a small model's memory: 1,000
    tokens x 49,152 entries x 4 bytes are 197 MB.
    """

    def chosen(_: nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
        (states,) = inputs
        return states[rows.to(states.device), columns.to(states.device)]

    handle = head.register_forward_pre_hook(chosen)
    try:
        yield
    finally:
        handle.remove()


@dataclass(frozen=True)
class Batch:
    """Examples as tensors.

    `inputs` are the model's keyword arguments. `rows` and `columns`, [predictions], are the positions at which answer
    tokens are predicted, `tokens` the tokens. `matrix`, [candidates, predictions], turns the predictions'
    log-probabilities into the scores of all examples' candidates.
    """

    examples: tuple[Example, ...]
    inputs: dict[str, torch.Tensor]
    rows: torch.Tensor
    columns: torch.Tensor
    tokens: torch.Tensor
    matrix: torch.Tensor


def collate(examples: Sequence[Example], pad: int) -> Batch:
    """Pack the examples as one left-padded batch, a row each; trees in one row do not see each other."""
    width = max(each.length for each in examples)
    ids = torch.full((len(examples), width), pad, dtype=torch.long)
    positions = torch.zeros((len(examples), width), dtype=torch.long)
    sees = torch.eye(width, dtype=torch.bool).repeat(len(examples), 1, 1, 1)
    answers = _Answers()
    for row, each in enumerate(examples):
        start = width - each.length
        terms = iter(each.terms)
        for tree in each.trees:
            packed = pack_trees([tree], 0, pad)
            place = slice(start, start + tree.length)
            ids[row, place], positions[row, place] = packed.input_ids[0], packed.position_ids[0]
            sees[row, 0, place, place] = packed.mask[0, 0]
            answers.add(tree, terms, row, start, packed.columns[0])
            start += tree.length
        answers.candidates += len(each.gains)
    inputs = {"input_ids": ids, "position_ids": positions, "attention_mask": sees}
    rows, columns, tokens = (torch.tensor(values) for values in zip(*answers.places.values(), strict=True))
    return Batch(tuple(examples), inputs, rows, columns, tokens, answers.matrix())


class _Answers:
    """The positions at which answer tokens are predicted, and their weights in the candidates' scores."""

    def __init__(self) -> None:
        self.candidates = 0
        self.places: dict[tuple[int, int, int], tuple[int, int, int]] = {}
        self._entries: list[tuple[int, int, float]] = []

    def add(self, tree: TokenTree, terms: Iterator[Term], row: int, start: int, columns: Mapping[int, int]) -> None:
        """Add a tree's continuations; `columns` are the positions of its nodes, counted from `start`."""
        index = {key: place for place, key in enumerate(self.places)}
        for path, term in zip(tree.paths, terms, strict=False):
            for node in path[term.skip :]:
                key = (row, start, node)
                place = index.setdefault(key, len(index))
                self.places[key] = (row, start + columns[tree.parents[node]], tree.tokens[node])
                self._entries.append((self.candidates + term.candidate, place, term.weight))

    def matrix(self) -> torch.Tensor:
        """Return the weights, [candidates, places]."""
        matrix = torch.zeros(self.candidates, len(self.places))
        candidate, place, weight = zip(*self._entries, strict=True)
        matrix.index_put_((torch.tensor(candidate), torch.tensor(place)), torch.tensor(weight), accumulate=True)
        return matrix


def candidate_scores(model: Any, head: nn.Module, batch: Batch) -> torch.Tensor:
    """Return the scores of all candidates of all examples, [candidates], in float32.

    `head` is the model's output embeddings.
    """
    with _projecting(head, batch.rows, batch.columns):
        logits = model(**batch.inputs, use_cache=False).logits
    found = logits.float().log_softmax(-1).gather(1, batch.tokens.to(logits.device)[:, None]).squeeze(1)
    scores: torch.Tensor = batch.matrix.to(found.device) @ found
    return scores


def example_losses(scores: torch.Tensor, examples: Sequence[Example]) -> torch.Tensor:
    """Return each example's loss in nats, [examples].

    Text: the mean negative log-likelihood of its tokens. Candidates: the cross-entropy of the shares of their gains and
    the softmax of their scores, ListNet's top-one loss (Cao et al., 2007).
    """
    parts = torch.split(scores, [len(each.gains) for each in examples])
    return torch.stack([_loss(part, each) for part, each in zip(parts, examples, strict=True)])


def _loss(scores: torch.Tensor, each: Example) -> torch.Tensor:
    if each.right:
        return -scores[0] / each.right
    gains = torch.tensor(each.gains, device=scores.device)
    return -(gains / gains.sum() * scores.log_softmax(-1)).sum()


def example_values(scores: torch.Tensor, examples: Sequence[Example]) -> list[float]:
    """Return the value of the order of each example's candidates, 0 to 1; NaN for text.

    With several different gains the value is NDCG, else the share of right candidates among the best ones, as many as
    are right. Scores that are not finite have the value 0.
    """
    parts = torch.split(scores.detach(), [len(each.gains) for each in examples])
    return [_value(part.tolist(), each) for part, each in zip(parts, examples, strict=True)]


def _value(scores: Sequence[float], each: Example) -> float:
    if each.right:
        return float("nan")
    if not all(map(math.isfinite, scores)):
        return 0.0
    order = best_first(scores)
    if len(set(each.gains)) > 2:
        return ndcg([index + 1 for index in order], each.gains)
    right = sum(1 for gain in each.gains if gain)
    return sum(1 for index in order[:right] if each.gains[index]) / right
