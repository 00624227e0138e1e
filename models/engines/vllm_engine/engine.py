"""The engine that runs a model through vLLM: several GPUs, several machines, several replicas."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from models.engines.answering.scoring import ScoringSettings
from models.engines.answering.solvers import solve_by_adapter
from models.engines.answering.ways import way_of
from models.engines.interface import NO_LIMIT, Answer
from models.engines.model_registry import template_text
from models.engines.settings import EngineSettings, adapter_folders
from models.engines.usage import Usage
from models.engines.vllm_engine.client import VllmClient
from models.engines.vllm_engine.model import VllmModel
from prompts.prompt import Prompt
from utilities.fingerprint import fingerprint, fingerprints_of_adapters


class VllmEngine:
    """Answers prompts by the same solvers as the transformers engine, with vLLM underneath."""

    def __init__(self, folder: Path, settings: EngineSettings) -> None:
        """Start vLLM and load the model and its adapters.

        Raises:
            UserError: vLLM is not installed, or it cannot run this model with these settings or adapters.
        """
        self._folder, self._settings = folder, settings
        self._limits = ScoringSettings(settings.token_budget, settings.max_prompt_tokens)
        self._client = VllmClient(folder, settings)
        self._model = VllmModel(folder, self._client, settings.vllm.max_model_len, settings.adapter)
        template = template_text(settings.chat_template)
        if template is not None:
            self._model.tokenizer.chat_template = template

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> list[Answer]:
        """Answer every prompt, in order; prompts that are answered alike share their batches.

        Raises:
            EngineError: the seconds were over before all was scored, an adapter was not loaded, or vLLM refused a
                request.
            LostEngineError: vLLM's processes are gone.
        """
        self._model.deadline = time.monotonic() + seconds
        ways = ways or [way_of(prompt.space, self._settings) for prompt in prompts]
        return solve_by_adapter(self._model, prompts, ways, self._limits, self._settings.adapter)

    def usage(self) -> Usage:
        """Return what was read and written so far, and the seconds that it took."""
        return self._model.usage

    def describe(self) -> Mapping[str, object]:
        """Return the engine's versions, how it is spread and what identifies its weights."""
        return {
            "engine": "vllm",
            "folder": self._settings.weights,
            "fingerprint": fingerprint(self._folder),
            "adapter": self._settings.adapter,
            "adapters": fingerprints_of_adapters(adapter_folders(self._settings)),
            **self._client.describe(),
            **asdict(self._settings.vllm),
        }

    def close(self) -> None:
        """End vLLM's processes."""
        self._client.close()
