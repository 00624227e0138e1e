"""The engine that runs a model through vLLM: several GPUs, several machines, several replicas."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from models.engines.answering.solvers import SolvingEngine
from models.engines.settings import EngineSettings, adapter_folders
from models.engines.vllm_engine.client import VllmClient
from models.engines.vllm_engine.model import VllmModel
from utilities.fingerprint import fingerprint, fingerprints_of_adapters


class VllmEngine(SolvingEngine):
    """Answers prompts by the same solvers as the transformers engine, with vLLM underneath."""

    def __init__(self, folder: Path, settings: EngineSettings) -> None:
        """Start vLLM and load the model and its adapters.

        Raises:
            UserError: vLLM is not installed, or it cannot run this model with these settings or adapters.
        """
        self._folder = folder
        self._client = VllmClient(folder, settings)
        super().__init__(VllmModel(folder, self._client, settings.vllm.max_model_len, settings.adapter), settings)

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
