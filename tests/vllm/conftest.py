"""The real engine, started once; `make test-vllm` runs these tests in an environment that has vLLM.

This folder must have no `__init__.py`: pytest would then import it as the package `vllm`, in place of vLLM.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.engines.process.supervised import SupervisedEngine, start_engine
from models.engines.settings import EngineSettings, VllmSettings
from models.engines.transformers_engine.engine import TransformersEngine
from tests.tiny_model import save_tiny_model

# One thread each for vLLM's processes; compiling would take longer than all of these tests.
os.environ.update({"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "TORCH_COMPILE_DISABLE": "1"})

HEADS = 2  # of size 32, the smallest that vLLM's attention on a CPU has
VLLM = VllmSettings(max_model_len=1024, memory_fraction=0.1, enforce_eager=True)
SETTINGS = EngineSettings(
    name="vllm", dtype="float32", device="cpu", token_budget=512, max_prompt_tokens=512, vllm=VLLM
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tiny")
    save_tiny_model(made, num_attention_heads=HEADS, num_key_value_heads=1)
    return made


@pytest.fixture(scope="session")
def settings(folder: Path) -> EngineSettings:
    return replace(SETTINGS, weights=str(folder))


@pytest.fixture(scope="session")
def engine(settings: EngineSettings) -> Iterator[SupervisedEngine]:
    """vLLM as a submission runs it: in a process of its own, watched."""
    started = start_engine(settings)
    assert isinstance(started, SupervisedEngine)
    yield started
    started.close()


@pytest.fixture(scope="session")
def reference(folder: Path, settings: EngineSettings) -> TransformersEngine:
    return TransformersEngine(folder, settings)
