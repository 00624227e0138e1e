from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from models.engines.settings import EngineSettings, Scoring

if TYPE_CHECKING:
    from models.engines.transformers_engine.engine import CausalLM, TransformersEngine

# vLLM has an environment of its own (`make test-vllm`).
collect_ignore = [] if find_spec("vllm") else ["vllm"]

TINY = EngineSettings(device="cpu", token_budget=4096, max_prompt_tokens=256)


@pytest.fixture(scope="session")
def _one_thread() -> None:
    """For matrices this small a second thread costs more to wake than it computes."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(_one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and tokenizer of a tiny random Llama with a chat template."""
    from tests.tiny_model import save_tiny_model

    folder = tmp_path_factory.mktemp("tiny")
    save_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Path) -> "CausalLM":
    import torch

    from models.engines.transformers_engine.engine import CausalLM

    return CausalLM(tiny_folder, torch.float32, "cpu")


@pytest.fixture(scope="session")
def templateless_model(_one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> "CausalLM":
    import torch

    from models.engines.transformers_engine.engine import CausalLM
    from tests.tiny_model import save_tiny_model

    folder = tmp_path_factory.mktemp("templateless")
    save_tiny_model(folder, chat_template=False)
    return CausalLM(folder, torch.float32, "cpu")


@pytest.fixture(scope="session")
def tiny_engine(tiny_folder: Path) -> "Callable[[str], TransformersEngine]":
    """Make the tiny model's engine, one for each way of answering options."""
    from models.engines.transformers_engine.engine import TransformersEngine

    made: dict[str, TransformersEngine] = {}

    def engine(way: str) -> TransformersEngine:
        if way not in made:
            settings = replace(TINY, weights=str(tiny_folder), choice=cast(Scoring, way), selection=cast(Scoring, way))
            made[way] = TransformersEngine(tiny_folder, settings)
        return made[way]

    return engine
