"""The engine that runs dense and AWQ weights through transformers, on a CPU or on GPUs."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from models.engines.answering.scoring import ScoringSettings
from models.engines.answering.solvers import solve_by_adapter
from models.engines.answering.ways import way_of
from models.engines.interface import NO_LIMIT, Answer, EngineError
from models.engines.model_registry import template_text
from models.engines.settings import EngineSettings, adapter_folders
from models.engines.transformers_engine.causal_lm import CausalLM
from models.engines.usage import Usage
from prompts.prompt import Prompt
from utilities.fingerprint import fingerprint, fingerprints_of_adapters


class TransformersEngine:
    """Groups prompts by how they are answered and hands each group to its solver."""

    def __init__(self, folder: Path, settings: EngineSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._limits = ScoringSettings(settings.token_budget, settings.max_prompt_tokens)
        self._adapters = adapter_folders(settings)
        self._model = CausalLM(folder, getattr(torch, settings.dtype), settings.device, settings.awq, self._adapters)
        template = template_text(settings.chat_template)
        if template is not None:
            self._model.tokenizer.chat_template = template

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> list[Answer]:
        """Answer every prompt, in order; prompts that are answered alike share their batches.

        Raises:
            EngineError: the seconds were over before all was scored, or the GPU's memory did not suffice.
        """
        self._model.deadline = time.monotonic() + seconds
        ways = ways or [way_of(prompt.space, self._settings) for prompt in prompts]
        try:
            return solve_by_adapter(self._model, prompts, ways, self._limits, self._settings.adapter)
        except torch.OutOfMemoryError as error:
            # What the failed batch holds would count against the smaller one that is tried next.
            torch.cuda.empty_cache()
            raise EngineError(f"out of memory with {len(prompts)} prompts: {error}") from error

    def usage(self) -> Usage:
        """Return what was read and written so far, and the seconds that it took."""
        return self._model.usage

    def describe(self) -> Mapping[str, object]:
        """Return the engine's versions and what identifies its weights."""
        return {
            "engine": "transformers",
            "folder": self._settings.weights,
            "fingerprint": fingerprint(self._folder),
            "adapter": self._settings.adapter,
            "adapters": fingerprints_of_adapters(self._adapters),
            "parameters": self._model.model.num_parameters(),
            "device": str(self._model.device),
            "torch": version("torch"),
            "transformers": version("transformers"),
        }
