"""The engine that runs dense and AWQ weights through transformers, on a CPU or on GPUs."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from models.engines.answering.solvers import SolvingEngine
from models.engines.interface import NO_LIMIT, Answer, EngineError
from models.engines.settings import EngineSettings, adapter_folders
from models.engines.transformers_engine.causal_lm import CausalLM
from prompts.prompt import Prompt
from utilities.fingerprint import fingerprint, fingerprints_of_adapters


class TransformersEngine(SolvingEngine):
    """Answers prompts with a model of transformers in this process."""

    def __init__(self, folder: Path, settings: EngineSettings) -> None:
        """Load the model and its adapters.

        Raises:
            UserError: weights or an adapter cannot be loaded.
        """
        self._folder = folder
        self._adapters = adapter_folders(settings)
        self._lm = CausalLM(folder, getattr(torch, settings.dtype), settings.device, settings.awq, self._adapters)
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
            "torch": version("torch"),
            "transformers": version("transformers"),
        }
