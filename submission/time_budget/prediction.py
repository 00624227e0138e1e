"""Seconds and bytes of a model's forward passes on a machine, from its shape, the device's figures and assumptions.

A pass takes the longer of two times: its operations at the reached share of the peak, and its bytes at the reached
share of the bandwidth. Element-wise layers, the unpacking of 4-bit matrices, the exchange between GPUs and kernel
starts are added. The floor is the longer of operations and bytes alone, at the peak and without padding.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from models.engines.model_registry import ModelEntry
from submission.time_budget.devices import Assumptions, Device
from utilities.errors import UserError

_ELEMENTWISE_HIDDEN, _ELEMENTWISE_INTERMEDIATE = 16, 6  # values read and written per token and layer
_LOGIT_BYTES = 12  # of one logit, in float32: written, normalised and read again
_LOGIT_ROWS = {"transformers": 256, "vllm": 1024}  # rows that an engine projects onto the vocabulary at once
_ACTIVATIONS = 8  # tensors of the MLP's width that are alive at once


@dataclass(frozen=True)
class Pass:
    """One forward pass over the rows of a batch, in sums over its rows.

    `tokens` are read without padding, `padded` with it. `pairs` are the pairs of tokens that attention compares in
    padded and masked rows, `causal_pairs` without both. `cached` are earlier tokens whose keys and values are read,
    `outputs` the positions that are projected onto the vocabulary. `decode` marks a step that writes a token per row.
    """

    rows: float
    tokens: float
    padded: float
    pairs: float
    causal_pairs: float
    cached: float
    outputs: float
    decode: bool = False

    def scaled(self, factor: float) -> "Pass":
        """Return the pass for a tokenizer that makes `factor` times as many tokens; written tokens do not scale."""
        longer = {name: getattr(self, name) * factor for name in ("cached", "pairs", "causal_pairs")}
        if self.decode:
            return replace(self, **longer)
        more = {name: getattr(self, name) * factor for name in ("tokens", "padded", "outputs")}
        squared = {name: longer[name] * factor for name in ("pairs", "causal_pairs")}
        return replace(self, **more, **longer | squared)


Batch = tuple[Pass, ...]
"""The passes of one batch of questions, in order."""
Head = tuple[int, ...]
"""The tokens that several chats begin with."""


@dataclass
class Work:
    """The counted work: the number of questions and the passes of each batch.

    `heads` are the passes over the tokens that several chats begin with: each is read once, then kept.
    """

    questions: int = 0
    batches: list[Batch] = field(default_factory=list)
    heads: dict[Head, Pass] = field(default_factory=dict)


def make_pass(lengths: Sequence[int], pasts: Sequence[int], outputs: int, width: int | None = None) -> Pass:
    """Return a pass over rows of these lengths behind `pasts` cached tokens, padded to `width` unless that is None."""
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


def side_by_side(batch: Batch, pass_tokens: int) -> Batch:
    """Return the passes of an engine with continuous batching.

    It reads all prompts in full passes of `pass_tokens`, then writes all texts together, one token per step.
    """
    runs: list[list[Pass]] = [[]]
    for each in batch:
        if each.decode:
            runs[-1].append(each)
        else:
            # Steps behind another prefill write the texts of other rows.
            runs.append([])
    steps = [_sum([run[step] for run in runs if step < len(run)]) for step in range(max(map(len, runs)))]
    read = [each for each in batch if not each.decode]
    if not read:
        return tuple(steps)
    whole = _sum(read)
    parts = math.ceil(whole.tokens / pass_tokens)
    names = ("tokens", "padded", "pairs", "causal_pairs", "cached", "outputs")
    part = replace(whole, **{name: getattr(whole, name) / parts for name in names})
    return (*[part] * parts, *steps)


def _sum(passes: Sequence[Pass]) -> Pass:
    names = [name for name in vars(passes[0]) if name != "decode"]
    return replace(passes[0], **{name: sum(getattr(each, name) for each in passes) for name in names})


@dataclass(frozen=True)
class Memory:
    """Bytes that one GPU needs and has."""

    weights: float
    cache: float
    activations: float
    runtime: float
    usable: float

    @property
    def needed(self) -> float:
        """All parts together."""
        return self.weights + self.cache + self.activations + self.runtime

    @property
    def fits(self) -> bool:
        """Whether it is enough."""
        return self.needed <= self.usable


@dataclass(frozen=True)
class Machine:
    """One model on `count` devices of a kind.

    Under vLLM the devices share every matrix and batches are not padded; under transformers layers are spread over the
    devices, which work one after the other.

    Raises:
        UserError: the devices cannot share the model's heads.
    """

    entry: ModelEntry
    device: Device
    count: int
    assumptions: Assumptions

    def __post_init__(self) -> None:
        shape = self.entry.shape
        if self.together > 1 and (shape.heads % self.count or shape.kv_heads % self.count):
            raise UserError(
                f"--count {self.count}: that many devices cannot share the {shape.heads} heads and {shape.kv_heads} "
                f"key-value heads of {self.entry.name}; choose a number that divides both"
            )

    @property
    def continuous(self) -> bool:
        """Whether batches are unpadded and texts of all prompts are written together."""
        return self.entry.engine == "vllm"

    @property
    def together(self) -> int:
        """The number of devices that work on one pass at the same time."""
        return self.count if self.continuous else 1

    def passes(self, batch: Batch) -> Batch:
        """Return a batch's passes as this machine's engine makes them."""
        return side_by_side(batch, self.assumptions.pass_tokens) if self.continuous else batch

    def seconds(self, passes: Iterable[Pass]) -> float:
        """Return the predicted seconds of these passes, one after the other."""
        return sum(self._pass_seconds(each) for each in passes)

    def floor_seconds(self, passes: Iterable[Pass]) -> float:
        """Return the least seconds that operations and bytes allow."""
        least = ((self._operations(each.tokens, each.causal_pairs, each.outputs), each) for each in passes)
        return sum(max(count / self._flops, self._read_bytes(each) / self._bandwidth) for count, each in least)

    def load_seconds(self) -> float:
        """Return the seconds until the first question: reading the weights, and starting vLLM."""
        start = self.assumptions.start_seconds if self.continuous else 0.0
        return self.entry.weight_bytes / (self.assumptions.disk_gb * 1e9) + start

    def memory(self, work: Work) -> Memory:
        """Return the fullest device's memory for the largest batch of `work` and for the heads, which are kept once.

        Every device has the logits of the whole vocabulary: vLLM gathers them, transformers computes them on one.
        """
        batches = [self.passes(batch) for batch in work.batches]
        held = max((self._held_tokens(batch) for batch in batches), default=0.0)
        held += sum(head.tokens for head in work.heads.values())
        widest = max((each.padded for batch in batches for each in batch), default=0.0)
        outputs = max((each.outputs for batch in batches for each in batch), default=0.0)
        shape, parts = self.entry.shape, self.together
        activations = widest * (_ACTIVATIONS * shape.intermediate_size / parts + shape.hidden_size)
        logits = min(outputs, _LOGIT_ROWS[self.entry.engine]) * shape.vocabulary * _LOGIT_BYTES
        return Memory(
            weights=self.entry.weight_bytes / self.count,
            cache=held * self.entry.kv_bytes_a_token / self.count,
            activations=activations * self.entry.value_bytes + logits,
            runtime=self.assumptions.runtime_gb * 1e9,
            usable=self.device.usable_gb * 1e9,
        )

    @property
    def _flops(self) -> float:
        return self.together * self.device.flops(self.entry.value_bytes)

    @property
    def _bandwidth(self) -> float:
        return self.together * self.device.bandwidth_gb * 1e9

    def _operations(self, tokens: float, pairs: float, outputs: float) -> float:
        """Two for each weight and token, four for each pair of tokens and each element of the heads."""
        shape = self.entry.shape
        attention = 4.0 * shape.layers * shape.heads * shape.head_size * pairs
        return 2.0 * (shape.linear_parameters * tokens + shape.vocabulary_parameters * outputs) + attention

    def _read_bytes(self, each: Pass, copies: float = 1.0) -> float:
        """Return the bytes of all weights that take part and of the cached keys and values."""
        projection = self.entry.shape.vocabulary_parameters * self.entry.value_bytes if each.outputs else 0.0
        return self.entry.block_bytes + projection + copies * each.cached * self.entry.kv_bytes_a_token

    def _cache_copies(self) -> float:
        """Return how often cached bytes move in a pass.

        Transformers appends by copying the whole cache, and repeats keys and values for the heads that share them
        before attention reads them.
        """
        if self.continuous:
            return 1.0
        group = self.entry.shape.heads // self.entry.shape.kv_heads
        return 2.0 + group + (1.0 + group if group > 1 else 0.0)

    def _pass_seconds(self, each: Pass) -> float:
        tokens = each.tokens if self.continuous else each.padded
        pairs = each.causal_pairs if self.continuous else each.pairs
        compute = self._operations(tokens, pairs, each.outputs) / (self._flops * self.device.prefill_efficiency)
        unpacked = self.entry.quantisation == "awq" and tokens >= self.assumptions.unpack_from_tokens
        kernel = self.device.awq_efficiency if self.entry.quantisation == "awq" and not unpacked else 1.0
        stream = self._bandwidth * self.device.decode_efficiency
        # Packed matrices are read, and half-precision ones are written and read again.
        unpacking = self.entry.block_bytes + 2.0 * self.entry.shape.linear_parameters * self.entry.value_bytes
        on_top = self._elementwise_bytes(tokens, each.outputs) + (unpacking if unpacked else 0.0)
        starts = self.entry.shape.layers * self.device.layer_microseconds * 1e-6
        bound = max(compute, self._read_bytes(each, self._cache_copies()) / (stream * kernel))
        return bound + on_top / stream + self._exchange(tokens) + starts

    def _elementwise_bytes(self, tokens: float, outputs: float) -> float:
        shape = self.entry.shape
        values = _ELEMENTWISE_HIDDEN * shape.hidden_size + _ELEMENTWISE_INTERMEDIATE * shape.intermediate_size
        return tokens * shape.layers * values * self.entry.value_bytes + outputs * shape.vocabulary * _LOGIT_BYTES

    def _exchange(self, tokens: float) -> float:
        """Return the seconds of two ring all-reduces per layer, one after attention and one after the MLP.

        A ring of n devices reduces in n - 1 steps and gathers in n - 1 more, each of which starts a transfer and sends
        an n-th of the states: 2 (n - 1) (start + states / (n bandwidth)), as in P. Patarasuk, X. Yuan, Bandwidth
        optimal all-reduce algorithms for clusters of workstations, J. Parallel Distrib. Comput. 69 (2009), 117-124.
        """
        steps = 2.0 * (self.together - 1)
        states = tokens * self.entry.shape.hidden_size * self.entry.value_bytes
        transfer = states / self.together / (self.device.interconnect_gb * 1e9)
        return 2.0 * self.entry.shape.layers * steps * (self.device.interconnect_microseconds * 1e-6 + transfer)

    def _held_tokens(self, batch: Batch) -> float:
        """Return the most tokens whose keys and values are in memory at once, without shared heads.

        vLLM keeps all that it reads and writes until the batch is done. Transformers answers one group of rows after
        the other, each padded and with a copy of the head.
        """
        if self.continuous:
            return sum(each.rows if each.decode else each.tokens for each in batch)
        held = most = 0.0
        for each in batch:
            held = held + each.rows if each.decode else each.padded + each.cached
            most = max(most, held)
        return most
