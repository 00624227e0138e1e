"""The engine that runs dense and AWQ weights through transformers, with the forward passes of its language model."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import DynamicCache

from models.engines.answering.language_model import LogProbabilities, ScoringRow, WritingRow
from models.engines.answering.solvers import SolvingEngine
from models.engines.answering.tokens import TextCoder, TokenTree, batches_by_budget, by_head, grow_tree, pack_trees
from models.engines.interface import NO_LIMIT, Answer, EngineError, Usage
from models.engines.settings import AUTO, EngineSettings, adapter_folders
from models.engines.transformers_engine.attention import numbered, use_grouped_attention, windowed
from models.engines.transformers_engine.decoding import write
from models.engines.transformers_engine.loading import load_causal_lm
from models.engines.transformers_engine.lora import attach
from models.engines.transformers_engine.precision import Precision, precision_of
from prompts.prompt import Prompt
from utilities.fingerprint import fingerprint, fingerprints_of_adapters
from utilities.packed_products import PackedLinear, pack, pack_again

NO_ADAPTER: Mapping[str, Path | None] = MappingProxyType({"": None})
_PASS_COST = 24  # tokens that a CPU reads in the time that a forward pass takes beside its products
_LOGIT_ROWS = 256  # 256 x 49,152 float32 logits are 50 MB: large enough for full speed, small enough for a laptop


@dataclass(frozen=True)
class PrefixCache:
    """Keys and values of the tokens that several prompts begin with, a pair of [1, heads, tokens, size] a layer."""

    tokens: tuple[int, ...]
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    def expanded(self, rows: int) -> DynamicCache:
        """Return a fresh cache for `rows` rows; the tensors are shared until the model appends to them."""
        cache = DynamicCache()
        for index, (keys, values) in enumerate(self.layers):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), index)
        return cache


class CausalLM(TextCoder):
    """Implements the `AdaptedModel` protocol with the weights, tokenizer and device of one model on one machine.

    Attributes:
        model: transformers' model.
        device: where its input belongs.
        usage: the tokens read and written so far.
        adapter: the name of the adapter in use, "" for none; None after a switch that failed.
    """

    def __init__(
        self,
        folder: Path,
        dtype: torch.dtype,
        device: str,
        awq: str = AUTO,
        adapters: Mapping[str, Path | None] = NO_ADAPTER,
        *,
        packs: bool = False,
    ) -> None:
        """Load the model; `awq` says how AWQ weights are run (`models.engines.transformers_engine.loading`).

        `adapters` are the folders of LoRA adapters by name, None for the base without one; the first is used first.
        `packs` lays the weights out for a CPU (`utilities.packed_products`).

        Raises:
            UserError: weights or an adapter cannot be loaded.
        """
        self.model = load_causal_lm(folder, dtype, device, awq)
        self._switch = attach(self.model, adapters)
        self._known = frozenset(adapters)
        self.adapter: str | None = next(iter(adapters))
        self._head = self._packed(several=len(adapters) > 1) if packs else self.model.get_output_embeddings()
        self._group = use_grouped_attention(self.model) if packs else 0
        super().__init__(folder, self.model.generation_config)
        self.device = self.model.device
        self._pass_cost = _PASS_COST if self.device.type == "cpu" else None
        self.usage = Usage()
        self.deadline = math.inf
        """The monotonic time of the timeout: texts end there, scores are given up."""
        self._prefixes: dict[tuple[str | None, tuple[int, ...]], PrefixCache] = {}

    def use(self, adapter: str) -> None:
        """Answer with the adapter of this name from now on.

        Raises:
            EngineError: it was not loaded.
        """
        if adapter == self.adapter:
            return
        if adapter not in self._known:
            raise EngineError(f"adapter {adapter or 'none'!r} was not loaded")
        # A switch that breaks off leaves weights of both adapters.
        self.adapter = None
        self._switch(adapter)
        pack_again(self.model)
        self.adapter = adapter

    def _packed(self, *, several: bool) -> PackedLinear:
        """Pack the model's weights; return its output embeddings in float32, since scores are differences of logits."""
        head = self.model.get_output_embeddings()
        pack(self.model, but=head, keeps_weights=several)
        plain = torch.nn.Linear(head.in_features, head.out_features, bias=False, device="meta")
        plain.weight = torch.nn.Parameter(head.weight.data.float(), requires_grad=False)
        return PackedLinear(plain)

    def score_rows(self, rows: Sequence[ScoringRow], budget: int) -> LogProbabilities:
        """Score every row's continuations; the head that chats with one system message share is computed once.

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
        for group in batches_by_budget([tree.length for tree in trees], budget, self._pass_cost):
            if time.monotonic() > self.deadline:
                raise EngineError("the deadline passed before all options were scored")
            chosen = [trees[index] for index in group]
            for index, result in zip(group, self._score_batch(chosen, prefix), strict=True):
                scores[index] = result
        self.usage.prefilled(sum(tree.length for tree in trees), time.perf_counter() - started)
        return scores

    @torch.inference_mode()
    def prefix(self, tokens: Sequence[int]) -> PrefixCache:
        """Return the cache of a prefix for the adapter in use, computed at the first call and kept."""
        key = self.adapter, tuple(tokens)
        if key not in self._prefixes:
            cache: Any = DynamicCache()
            ids = torch.tensor([key[1]], device=self.device)
            self.model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
            layers = tuple((layer.keys, layer.values) for layer in cache.layers)
            self._prefixes[key] = PrefixCache(key[1], layers)
        return self._prefixes[key]

    @torch.inference_mode()
    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, cache: DynamicCache | None
    ) -> torch.Tensor:
        """Return the last hidden states, [batch, length, size], and append keys and values to `cache`.

        `ids` and `positions` are [batch, length], `mask` is [batch, 1, length, past + length], true where a
        token looks.
        """
        output = self.model.base_model(
            input_ids=ids.to(self.device),
            position_ids=positions.to(self.device),
            attention_mask=numbered(windowed(mask.to(self.device), self.model.config), self._group),
            past_key_values=cache,
            use_cache=cache is not None,
        )
        states: torch.Tensor = output.last_hidden_state
        return states

    @torch.inference_mode()
    def log_probabilities(self, states: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield log-probabilities over the vocabulary, [rows, vocabulary] in float32, for [n, size] hidden states."""
        inputs = states.float() if isinstance(self._head, PackedLinear) else states
        for rows in torch.split(inputs, _LOGIT_ROWS):
            yield self._head(rows).to(rows.device).float().log_softmax(-1)

    def _score_batch(self, trees: Sequence[TokenTree], prefix: PrefixCache | None) -> list[list[list[float]]]:
        packed = pack_trees(trees, len(prefix.tokens) if prefix else 0, self.pad)
        cache = prefix.expanded(len(trees)) if prefix else None
        states = self.forward(packed.input_ids, packed.position_ids, packed.mask, cache)
        predicting, places, tokens = _predictions(trees, packed.columns)
        picked = states[[row for row, _ in predicting], [column for _, column in predicting]]
        values = torch.empty(len(tokens))
        begin = 0
        for block in self.log_probabilities(picked):
            inside = (places >= begin) & (places < begin + len(block))
            values[inside] = block[(places[inside] - begin).to(block.device), tokens[inside].to(block.device)].cpu()
            begin += len(block)
        return _along_paths(trees, values.tolist())


def _predictions(
    trees: Sequence[TokenTree], columns: Sequence[Mapping[int, int]]
) -> tuple[list[tuple[int, int]], torch.Tensor, torch.Tensor]:
    """List each row and column that predicts nodes once; and for every node its place in that list, and its token."""
    predicting: dict[tuple[int, int], int] = {}
    places: list[int] = []
    tokens: list[int] = []
    for row, (tree, column) in enumerate(zip(trees, columns, strict=True)):
        places += [predicting.setdefault((row, column[parent]), len(predicting)) for parent in tree.parents]
        tokens += tree.tokens
    return list(predicting), torch.tensor(places), torch.tensor(tokens)


def _along_paths(trees: Sequence[TokenTree], values: Sequence[float]) -> list[list[list[float]]]:
    scores = []
    start = 0
    for tree in trees:
        scores.append([[values[start + node] for node in path] for path in tree.paths])
        start += len(tree.tokens)
    return scores


class TransformersEngine(SolvingEngine):
    """Answers prompts with a model of transformers in this process."""

    def __init__(self, folder: Path, settings: EngineSettings, precision: Precision | None = None) -> None:
        """Load the model and its adapters; `precision` replaces the one that the settings mean.

        Raises:
            UserError: weights or an adapter cannot be loaded.
        """
        self._folder = folder
        self._adapters = adapter_folders(settings)
        self._precision = precision or precision_of(settings.dtype, settings.device, folder)
        chosen = self._precision
        self._lm = CausalLM(folder, chosen.dtype, settings.device, settings.awq, self._adapters, packs=chosen.packed)
        super().__init__(self._lm, settings)

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> list[Answer]:
        """Answer every prompt as `SolvingEngine` does.

        Raises:
            EngineError: the timeout came before all was scored, or the GPU's memory did not suffice.
        """
        try:
            return super().answer(prompts, ways, seconds)
        except torch.OutOfMemoryError as error:
            # The memory of the failed batch would count against the smaller one that is tried next.
            torch.cuda.empty_cache()
            raise EngineError(f"out of memory with {len(prompts)} prompts: {error}") from error

    def describe(self) -> Mapping[str, object]:
        """Return the engine's versions and the fingerprints of its weights."""
        return {
            "engine": "transformers",
            "folder": self._settings.weights,
            "fingerprint": fingerprint(self._folder),
            "adapter": self._settings.adapter,
            "adapters": fingerprints_of_adapters(self._adapters),
            "parameters": self._lm.model.num_parameters(),
            "device": str(self._lm.device),
            "precision": str(self._precision),
            "rates": self._precision.rates,
            "torch": version("torch"),
            "transformers": version("transformers"),
        }
