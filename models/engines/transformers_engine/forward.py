"""A causal language model's forward pass: weights on a device, tokens in, hidden states and key-value caches out."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from transformers import DynamicCache

from models.engines.local_folder import TextCoder
from models.engines.transformers_engine.attention_window import windowed
from models.engines.transformers_engine.loading import AUTO, load_causal_lm
from models.engines.transformers_engine.lora import put_on
from models.engines.usage import Usage

NO_ADAPTER: Mapping[str, Path | None] = MappingProxyType({"": None})
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


class ForwardModel(TextCoder):
    """Weights, tokenizer and device of one model.

    Attributes:
        model: transformers' model.
        device: where its input belongs.
        usage: what was read and written so far.
        adapter: the name of the adapter in use, "" for none.
    """

    def __init__(
        self,
        folder: Path,
        dtype: torch.dtype,
        device: str,
        awq: str = AUTO,
        adapters: Mapping[str, Path | None] = NO_ADAPTER,
    ) -> None:
        """Load the model; `awq` says how AWQ weights are run (`models.engines.transformers_engine.loading`).

        `adapters` are the folders of LoRA adapters by name, None for the base without one; the first is put to work.

        Raises:
            UserError: weights or an adapter cannot be loaded.
        """
        self.model = load_causal_lm(folder, dtype, device, awq)
        self._adapters = put_on(self.model, adapters)
        self.adapter = next(iter(adapters))
        super().__init__(folder, self.model.generation_config)
        self.device = self.model.device
        self.usage = Usage()
        self.deadline = math.inf
        """The monotonic time after which nobody waits: texts end there, scores are given up."""
        self._prefixes: dict[tuple[str, tuple[int, ...]], PrefixCache] = {}

    def use(self, adapter: str) -> None:
        """Answer with the adapter of this name from now on.

        Raises:
            EngineError: it was not loaded.
        """
        self._adapters.use(adapter)
        self.adapter = adapter

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
            attention_mask=windowed(mask.to(self.device), self.model.config),
            past_key_values=cache,
            use_cache=cache is not None,
        )
        states: torch.Tensor = output.last_hidden_state
        return states

    @torch.inference_mode()
    def log_probabilities(self, states: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield log-probabilities over the vocabulary, [rows, vocabulary] in float32, for [n, size] hidden states."""
        head = self.model.get_output_embeddings()
        for rows in torch.split(states, _LOGIT_ROWS):
            yield head(rows).to(rows.device).float().log_softmax(-1)
