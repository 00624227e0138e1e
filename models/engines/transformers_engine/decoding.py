"""Greedy decoding in batches, in which each row limits the tokens that may come next."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from transformers import DynamicCache

from models.engines.answering.language_model import Coder, WritingRow
from models.engines.answering.tokens import batches_by_budget, by_head, grow_tree, pack_trees
from models.engines.answering.writing import LabelList, text_is_complete, text_of
from models.engines.interface import Usage
from prompts.prompt import Text

_WIDER = 4
_LOG = logging.getLogger("shopalign")

AllowedTokens = Callable[[Sequence[int]], Sequence[int] | None]
"""Given the tokens decoded so far: the tokens that may follow, none when the row is done, `None` for any."""


class Prefix(Protocol):
    """The tokens that several prompts begin with, and their keys and values."""

    @property
    def tokens(self) -> Sequence[int]:
        """The tokens."""
        ...

    def expanded(self, rows: int) -> DynamicCache:
        """Return a fresh cache for `rows` rows."""
        ...


class ForwardModel(Coder, Protocol):
    """The forward pass that decoding repeats; `CausalLM` documents it."""

    usage: Usage
    deadline: float

    def prefix(self, tokens: Sequence[int]) -> Prefix:
        """Return the cache of a prefix."""
        ...

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, cache: DynamicCache | None
    ) -> torch.Tensor:
        """Return the last hidden states, [batch, length, size]."""
        ...

    def log_probabilities(self, states: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield log-probabilities, [rows, vocabulary], for [n, size] hidden states."""
        ...


@dataclass
class Row:
    """One prompt while it is decoded: at most `limit` tokens, the first of them none of `never_first`."""

    prompt: Sequence[int]
    allowed: AllowedTokens
    limit: int
    never_first: Sequence[int] = ()
    tokens: list[int] = field(default_factory=list)
    done: bool = False

    def choose(self, scores: torch.Tensor) -> int:
        """Take the likeliest allowed token from `scores`, [vocabulary], or mark the row as done."""
        allowed = self.allowed(self.tokens)
        if len(self.tokens) >= self.limit or (allowed is not None and not allowed):
            self.done = True
            return 0
        if allowed is None:
            if not self.tokens and self.never_first:
                scores = scores.index_fill(0, torch.tensor(self.never_first, device=scores.device), -torch.inf)
            token = int(scores.argmax())
        else:
            token = allowed[int(scores[torch.tensor(allowed, device=scores.device)].argmax())]
        self.tokens.append(token)
        return token


Reader = Callable[[Sequence[int]], str]
"""Given all tokens of a row: its answer as text."""


def constrained(model: Coder, row: WritingRow) -> tuple[Row, Reader]:
    """Return the row that writes a member of the answer space, and the reader of its tokens."""
    space = row.space
    if isinstance(space, Text):
        free = Row(
            row.prompt, lambda tokens: [] if text_is_complete(model, tokens, space) else None, row.limit, model.ends
        )
        return free, lambda tokens: text_of(model, tokens)
    labels = LabelList(model, space)
    return Row(row.prompt, labels.allowed, row.limit), labels.read


def write(model: ForwardModel, rows: Sequence[WritingRow], budget: int) -> list[str]:
    """Write a member of each row's answer space; see `LanguageModel.write_rows`."""
    pairs = [constrained(model, row) for row in rows]
    decode_behind_head(model, [row.system for row in rows], [row for row, _ in pairs], budget)
    return [read(row.tokens) for row, read in pairs]


@torch.inference_mode()
def decode(model: ForwardModel, rows: Sequence[Row], prefix: Prefix | None) -> None:
    """Decode all `rows` behind the tokens of `prefix`, one token a step, until each is done or the deadline passes.

    Rows are padded on the left, so that every row's next token stands in the same column. A row that is done leaves
    the batch.
    """
    started = time.perf_counter()
    past = len(prefix.tokens) if prefix else 0
    packed = pack_trees([grow_tree(row.prompt, []) for row in rows], past, model.pad)
    cache = prefix.expanded(len(rows)) if prefix else DynamicCache()
    states = model.forward(packed.input_ids, packed.position_ids, packed.mask, cache)
    chosen = _choose(model, rows, states)
    prefilled = time.perf_counter()
    model.usage.prefilled(sum(len(row.prompt) for row in rows), prefilled - started)
    seen, positions = packed.mask[:, :, -1:, :], packed.position_ids[:, -1:]
    steps, left = 0, list(rows)
    while (alive := [index for index, row in enumerate(left) if not row.done]) and not _is_late(model, rows):
        if len(alive) < len(left):
            left, chosen = [left[index] for index in alive], [chosen[index] for index in alive]
            seen, positions = seen[alive], positions[alive]
            cache.batch_select_indices(torch.tensor(alive, device=states.device))
        seen = torch.cat([seen, torch.ones(len(left), 1, 1, 1, dtype=torch.bool)], dim=-1)
        positions = positions + 1
        steps += 1
        chosen = _choose(model, left, model.forward(torch.tensor(chosen)[:, None], positions, seen, cache))
    model.usage.decoded(steps, sum(len(row.tokens) for row in rows), time.perf_counter() - prefilled)


def _choose(model: ForwardModel, rows: Sequence[Row], states: torch.Tensor) -> list[int]:
    """Let every row that is not done choose its next token from the last of its [rows, length, size] states."""
    scores = next(model.log_probabilities(states[:, -1]))
    return [row.choose(line) if not row.done else 0 for row, line in zip(rows, scores, strict=True)]


def _is_late(model: ForwardModel, rows: Sequence[Row]) -> bool:
    late = time.monotonic() > model.deadline
    if late:
        model.usage.cut_texts += sum(not row.done for row in rows)
        _LOG.warning("the deadline passed before %d texts were finished", sum(not row.done for row in rows))
    return late


def decode_behind_head(model: ForwardModel, systems: Sequence[str], rows: Sequence[Row], budget: int) -> None:
    """Decode all `rows`; the head that chats with one system message share is computed once.

    Rows are sorted by length, so that the padded prompts of a batch hold at most `_WIDER` times `budget` tokens: every
    step reads all weights once for a batch of any size, so few large batches are faster than many small ones.
    """
    for shared, indices in by_head(model, systems, [row.prompt for row in rows]):
        prefix = model.prefix(shared) if shared else None
        for index in indices:
            rows[index].prompt = rows[index].prompt[len(shared) :]
        for group in batches_by_budget([len(rows[index].prompt) for index in indices], _WIDER * budget):
            decode(model, [rows[indices[member]] for member in group], prefix)
