"""Tiny models that are made once for each process of pytest, and the two tiers of tests.

A slow test trains or loads a model, or starts a process or a browser. `make check` leaves slow tests out, and needs no
torch: importing it takes longer than most quick tests together.
"""

import re
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import settings

from models.engines.model_registry import Scoring
from models.engines.settings import EngineSettings

if TYPE_CHECKING:
    from models.engines.transformers_engine.engine import CausalLM, TransformersEngine

# vLLM has an environment of its own (`make test-vllm`).
collect_ignore = [] if find_spec("vllm") else ["vllm"]

_BLAMED = pytest.StashKey[bool]()
_LONGEST = ("test_spread_training", "test_quantize", "test_fit_fusion", "test_faults")
_SLOW_FILE = re.compile(r"^pytestmark = (\[\s*)?pytest\.mark\.slow", re.MULTILINE)


# A busy machine is no fault of the code, so no example has a deadline.
settings.register_profile("whole", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=50)


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples a test over generated input tries."""
    settings.load_profile("quick" if _only_quick(config) else "whole")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import files of slow tests where these are left out: such files may import torch."""
    if not _only_quick(config) or collection_path.suffix != ".py":
        return None
    return True if _SLOW_FILE.search(collection_path.read_text(encoding="utf-8")) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no process waits for them at the end."""
    items.sort(key=lambda item: item.path.stem not in _LONGEST)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark each test that uses a tiny model as slow."""
    if "one_thread" in getattr(item, "fixturenames", ()):
        item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let the collection fail at the first file of quick tests behind which torch is imported."""
    report = yield
    if _only_quick(collector.config) and "torch" in sys.modules and not collector.session.stash.get(_BLAMED, False):
        collector.session.stash[_BLAMED] = True
        report.outcome, report.longrepr = "failed", f"{collector.nodeid}, or a conftest before it, imports torch"
    return report


@pytest.fixture(autouse=True)
def _torch_in_slow_tests_only(request: pytest.FixtureRequest) -> Iterator[None]:
    before = "torch" in sys.modules
    yield
    if not before and "torch" in sys.modules and not request.node.get_closest_marker("slow"):
        pytest.fail("a quick test imports torch: mark it slow")


def _only_quick(config: pytest.Config) -> bool:
    return str(config.getoption("markexpr")) == "not slow"


TINY = EngineSettings(dtype="float32", device="cpu", token_budget=4096, max_prompt_tokens=256)


@pytest.fixture(scope="session")
def one_thread() -> None:
    """For matrices this small a second thread costs more to wake than it computes."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
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
def templateless_model(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> "CausalLM":
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
