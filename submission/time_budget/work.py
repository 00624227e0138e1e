"""The work that questions are, as forward passes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Pass:
    """One forward pass over the rows of a batch, in sums over its rows.

    `tokens` are read without padding, `padded` with it. `pairs` are the pairs of tokens that attention compares when
    rows are padded and masked, `causal_pairs` when they are neither. `cached` are earlier tokens whose keys and values
    are read, `outputs` the positions that are projected onto the vocabulary.
    """

    rows: float
    tokens: float
    padded: float
    pairs: float
    causal_pairs: float
    cached: float
    outputs: float
    decode: bool = False

    def scaled(self, tokens: float) -> "Pass":
        """Return the pass for a tokenizer that makes so many times as many tokens; what is written stays."""
        longer = {name: getattr(self, name) * tokens for name in ("cached", "pairs", "causal_pairs")}
        if self.decode:
            return replace(self, **longer)
        more = {name: getattr(self, name) * tokens for name in ("tokens", "padded", "outputs")}
        again = {name: longer[name] * tokens for name in ("pairs", "causal_pairs")}
        return replace(self, **more, **longer | again)

    def divided(self, parts: int) -> "Pass":
        """Return one of so many equal parts."""
        names = ("tokens", "padded", "pairs", "causal_pairs", "cached", "outputs")
        return replace(self, **{name: getattr(self, name) / parts for name in names})


def _sum(passes: Sequence[Pass]) -> Pass:
    names = [name for name in vars(passes[0]) if name != "decode"]
    return Pass(**{name: sum(getattr(each, name) for each in passes) for name in names}, decode=passes[0].decode)


Batch = tuple[Pass, ...]
"""The passes of one batch of questions, in order."""
Head = tuple[int, ...]
"""The tokens that several chats begin with."""


@dataclass
class Work:
    """What was counted: for each batch its questions and passes.

    `heads` are the passes over what several chats begin with, by its tokens: each is read once, and held from then on.
    """

    questions: int = 0
    batches: list[Batch] = field(default_factory=list)
    heads: dict[Head, Pass] = field(default_factory=dict)


def side_by_side(batch: Batch, pass_tokens: int) -> Batch:
    """Return the passes of an engine with continuous batching.

    All prompts are read in full passes of `pass_tokens`, then all texts are written together, a token a step.
    """
    read = [each for each in batch if not each.decode]
    runs = _decode_runs(batch)
    steps = [_sum([run[step] for run in runs if step < len(run)]) for step in range(max(map(len, runs), default=0))]
    if not read:
        return tuple(steps)
    whole = _sum(read)
    parts = math.ceil(whole.tokens / pass_tokens)
    return (*[whole.divided(parts)] * parts, *steps)


def _decode_runs(batch: Batch) -> list[list[Pass]]:
    """Split a batch's steps where a prefill lies between them: each run wrote the texts of other rows."""
    runs: list[list[Pass]] = [[]]
    for each in batch:
        if each.decode:
            runs[-1].append(each)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def make_pass(lengths: Sequence[int], pasts: Sequence[int], outputs: int, width: int | None = None) -> Pass:
    """Return a pass over rows of these lengths behind so many cached tokens each, padded to `width` or not at all."""
    rows = list(zip(lengths, pasts, strict=True))
    return Pass(
        rows=len(rows),
        tokens=sum(lengths),
        padded=len(rows) * width if width else sum(lengths),
        pairs=sum((width or length) * (past + (width or length)) for length, past in rows),
        causal_pairs=sum(length * (past + length / 2) for length, past in rows),
        cached=sum(pasts),
        outputs=outputs,
    )
