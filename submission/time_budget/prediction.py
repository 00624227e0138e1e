"""Seconds and bytes of a model's passes on a machine, from its shape, the device's figures and stated assumptions.

A pass takes the longer of its operations at the reached share of the peak and of its bytes at the reached share of the
bandwidth; what cannot overlap with that comes on top: element-wise layers, unpacking of 4-bit matrices, the exchange
between GPUs after attention and after the MLP, and the starts of kernels. The floor is the longer of operations and
bytes alone, at the peak and without padding.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from models.engines.model_registry import ModelEntry
from submission.time_budget.devices import Assumptions, Device
from submission.time_budget.work import Batch, Pass, Work, side_by_side
from utilities.errors import UserError

_ELEMENTWISE_HIDDEN, _ELEMENTWISE_INTERMEDIATE = 16, 6  # values read and written a token and layer: norms, gates, sums
_LOGIT_BYTES = 12  # of one logit, in float32: written, normalised and read again
_LOGIT_ROWS = {"transformers": 256, "vllm": 1024}  # most that an engine projects onto the vocabulary at once
_ACTIVATIONS = 8  # tensors of the MLP's width that are alive at once


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
        """How many devices work on one pass at the same time."""
        return self.count if self.continuous else 1

    def passes(self, batch: Batch) -> Batch:
        """Return a batch's passes as this machine's engine makes them."""
        return side_by_side(batch, self.assumptions.pass_tokens) if self.continuous else batch

    def seconds(self, passes: Iterable[Pass]) -> float:
        """Return the predicted seconds of these passes, one after the other."""
        return sum(self._pass_seconds(each) for each in passes)

    def floor_seconds(self, passes: Iterable[Pass]) -> float:
        """Return the least seconds that operations and bytes allow."""
        return sum(max(self._least_compute(each), self._read_bytes(each) / self._bandwidth) for each in passes)

    def load_seconds(self) -> float:
        """Return the seconds until the first question: reading the weights, and starting the engine on GPUs."""
        start = self.assumptions.start_seconds if self.continuous else 0.0
        return self.entry.weight_bytes / (self.assumptions.disk_gb * 1e9) + start

    def memory(self, work: Work) -> Memory:
        """Return what the fullest device needs for the largest batch of `work` and for the heads, which are held once.

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

    def _least_compute(self, each: Pass) -> float:
        return self._operations(each.tokens, each.causal_pairs, each.outputs) / self._flops

    def _read_bytes(self, each: Pass, copies: float = 1.0) -> float:
        """Return the bytes of all weights that take part and of the cached keys and values."""
        projection = self.entry.shape.vocabulary_parameters * self.entry.value_bytes if each.outputs else 0.0
        return self.entry.block_bytes + projection + copies * each.cached * self.entry.kv_bytes_a_token

    def _cache_copies(self) -> float:
        """Return how often cached bytes move in a pass.

        Transformers appends by copying all that is cached, and repeats keys and values for the heads that share them
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
        on_top = self._elementwise_bytes(tokens, each.outputs) + (self._unpacking_bytes() if unpacked else 0.0)
        starts = self.entry.shape.layers * self.device.layer_microseconds * 1e-6
        bound = max(compute, self._read_bytes(each, self._cache_copies()) / (stream * kernel))
        return bound + on_top / stream + self._exchange(tokens) + starts

    def _elementwise_bytes(self, tokens: float, outputs: float) -> float:
        shape = self.entry.shape
        values = _ELEMENTWISE_HIDDEN * shape.hidden_size + _ELEMENTWISE_INTERMEDIATE * shape.intermediate_size
        return tokens * shape.layers * values * self.entry.value_bytes + outputs * shape.vocabulary * _LOGIT_BYTES

    def _unpacking_bytes(self) -> float:
        """Packed matrices are read, and half-precision ones written and read again, once a pass."""
        return self.entry.block_bytes + 2.0 * self.entry.shape.linear_parameters * self.entry.value_bytes

    def _exchange(self, tokens: float) -> float:
        """Return the seconds of two ring all-reduces a layer, one after attention and one after the MLP.

        A ring of n devices reduces in n - 1 steps and gathers in n - 1 more, each of which starts a transfer and sends
        an n-th of the states: 2 (n - 1) (start + states / (n bandwidth)), as in P. Patarasuk, X. Yuan, Bandwidth
        optimal all-reduce algorithms for clusters of workstations, J. Parallel Distrib. Comput. 69 (2009), 117-124.
        """
        steps = 2.0 * (self.together - 1)
        states = tokens * self.entry.shape.hidden_size * self.entry.value_bytes
        transfer = states / self.together / (self.device.interconnect_gb * 1e9)
        return 2.0 * self.entry.shape.layers * steps * (self.device.interconnect_microseconds * 1e-6 + transfer)

    def _held_tokens(self, batch: Batch) -> float:
        """Return the most tokens whose keys and values are in memory at once, heads that rows only point to left out.

        vLLM holds all that is read and written until the batch is done. Transformers answers row group by row group,
        each padded and with its own copy of the head.
        """
        if self.continuous:
            return sum(each.rows if each.decode else each.tokens for each in batch)
        held = most = 0.0
        for each in batch:
            held = held + each.rows if each.decode else each.padded + each.cached
            most = max(most, held)
        return most
