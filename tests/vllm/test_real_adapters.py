import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.engines.process.supervised import SupervisedEngine, start_engine
from models.engines.registry import create_engine
from models.engines.settings import WRITE, EngineSettings
from models.engines.transformers_engine.engine import TransformersEngine
from prompts.prompt import Prompt, Text
from tests.models.engines.test_engine import MIXED, ask
from tests.tiny_adapter import save_tiny_adapter
from tests.vllm.test_real_engine import SCORED, TOLERANCE, ways_of
from utilities.errors import UserError


@pytest.fixture(scope="module")
def adapted(settings: EngineSettings, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> EngineSettings:
    made = tmp_path_factory.mktemp("adapters")
    one = str(save_tiny_adapter(made / "one", folder, 1, ranks={"mlp.down_proj": 9}))
    two = str(save_tiny_adapter(made / "two", folder, 2, modules=("self_attn.k_proj", "mlp.up_proj"), use_rslora=True))
    return replace(settings, adapter=one, adapters=(two, ""))


@pytest.fixture(scope="module")
def started(adapted: EngineSettings) -> Iterator[SupervisedEngine]:
    engine = start_engine(adapted)
    assert isinstance(engine, SupervisedEngine)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def reference(adapted: EngineSettings, folder: Path) -> TransformersEngine:
    return TransformersEngine(folder, adapted)


def mixed(adapted: EngineSettings) -> list[Prompt]:
    """Every prompt with each of the adapters."""
    names = (None, adapted.adapters[0], "")
    return [replace(prompt, adapter=name) for prompt in MIXED for name in names]


@pytest.mark.parametrize("way", SCORED)
def test_each_prompt_is_scored_with_its_adapter_as_by_transformers(
    started: SupervisedEngine, reference: TransformersEngine, adapted: EngineSettings, way: str
) -> None:
    prompts = mixed(adapted)
    ways = ways_of(prompts, way)
    expected = reference.answer(prompts, ways)
    for _ in range(2):  # the second time from the cache, which must tell adapters apart
        for ours, theirs in zip(started.answer(prompts, ways), expected, strict=True):
            assert ours is not None
            assert ours.scores == pytest.approx(theirs.scores, abs=TOLERANCE)


def test_texts_are_written_with_the_adapter_of_their_prompt(
    started: SupervisedEngine, reference: TransformersEngine, adapted: EngineSettings
) -> None:
    prompts = [replace(ask(Text(20, stop=()), "Why?"), adapter=prompt.adapter) for prompt in mixed(adapted)[:3]]
    found = started.answer(prompts, [WRITE] * 3)
    assert found == reference.answer(prompts, [WRITE] * 3)
    assert len({answer.text for answer in found if answer is not None}) == 3


def test_what_vllm_refuses_is_one_sentence(settings: EngineSettings, folder: Path, tmp_path: Path) -> None:
    adapter = save_tiny_adapter(tmp_path, folder, 1)
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    del config["target_modules"]
    (adapter / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError, match=r"vLLM cannot use this adapter .*target_modules") as refusal:
        create_engine(replace(settings, adapter=str(adapter)))
    assert str(refusal.value).startswith(str(adapter))
    assert "\n" not in str(refusal.value)
