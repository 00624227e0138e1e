"""Adapters in the vLLM engine: one loaded model, the adapter of each prompt."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch

from models.engines.interface import EngineError
from models.engines.model_registry import Scoring
from models.engines.settings import way_of
from models.engines.transformers_engine.engine import CausalLM, TransformersEngine
from models.engines.vllm_engine.adapters import adapter_fields
from models.engines.vllm_engine.engine import VllmEngine
from prompts.prompt import Prompt
from tests.conftest import TINY
from tests.models.engines.test_engine import MIXED
from tests.models.engines.vllm_engine.fake_vllm import VLLM, FakeVllm, install
from tests.tiny_adapter import MODULES, save_tiny_adapter
from tests.tiny_model import save_tiny_model
from utilities.errors import UserError

pytestmark = pytest.mark.slow

Make = Callable[..., tuple[VllmEngine, FakeVllm, TransformersEngine]]


@pytest.fixture
def adapters(tiny_folder: Path, tmp_path: Path) -> tuple[str, str]:
    one = save_tiny_adapter(tmp_path / "one", tiny_folder, 1)
    return str(one), str(save_tiny_adapter(tmp_path / "two", tiny_folder, 2, rank=9))


@pytest.fixture
def make(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make a vLLM engine over a stand-in, and a transformers engine, with the same adapters."""
    made: list[VllmEngine] = []

    def both(own: str, *others: str, by_rows: bool = True) -> tuple[VllmEngine, FakeVllm, TransformersEngine]:
        settings = replace(TINY, weights=str(tiny_folder), vllm=VLLM, adapter=own, adapters=others, choice="label")
        named = {name: Path(name) if name else None for name in ("", own, *others)}
        fake = FakeVllm(CausalLM(tiny_folder, torch.float32, "cpu", adapters=named), by_rows=by_rows)
        install(monkeypatch, fake)
        made.append(VllmEngine(tiny_folder, settings))
        return made[-1], fake, TransformersEngine(tiny_folder, settings)

    yield both
    for engine in made:
        engine.close()


def asking(*adapters: str | None) -> list[Prompt]:
    """Every kind of prompt, with one adapter after the other."""
    return [replace(prompt, adapter=adapters[index % len(adapters)]) for index, prompt in enumerate(MIXED)]


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("way", ["label", "pmi"])
def test_prompts_are_answered_with_their_adapter_as_by_transformers(
    make: Make, adapters: tuple[str, str], by_rows: bool, way: str
) -> None:
    engine, fake, reference = make(adapters[0], adapters[1], "", by_rows=by_rows)
    prompts = asking(None, adapters[1], "", adapters[0])
    ways = [
        way_of(prompt.space, replace(TINY, choice=cast(Scoring, way), selection=cast(Scoring, way)))
        for prompt in prompts
    ]
    expected = reference.answer(prompts, ways)
    for _ in range(2):  # the second time everything is cached, apart for each adapter
        found = engine.answer(prompts, ways)
        assert [answer.text for answer in found] == [answer.text for answer in expected]
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.scores == pytest.approx(theirs.scores, abs=1e-3)
    assert {asked.adapter for asked in fake.asked} == {0, 1, 2}


def test_adapters_are_loaded_once_at_the_start_with_room_for_the_highest_rank(
    make: Make, adapters: tuple[str, str]
) -> None:
    engine, fake, _ = make(adapters[0], adapters[1])
    engine.answer(asking(*adapters))
    engine.answer(asking(*adapters))
    assert [(loaded.lora_path, loaded.lora_int_id) for loaded in fake.loaded] == [(adapters[0], 1), (adapters[1], 2)]
    assert (fake.arguments["max_loras"], fake.arguments["max_lora_rank"]) == (2, 16)
    assert fake.arguments["lora_target_modules"] == ["down_proj", "gate_proj", "o_proj", "q_proj", "v_proj"]


def test_without_adapters_vllm_is_started_as_before(make: Make) -> None:
    engine, fake, _ = make("")
    engine.answer(MIXED)
    assert "enable_lora" not in fake.arguments
    assert {asked.adapter for asked in fake.asked} == {0}
    assert engine.describe()["adapters"] == {}


def test_an_adapter_that_was_not_loaded_is_refused_and_the_engine_lives(make: Make, adapters: tuple[str, str]) -> None:
    engine, _, _ = make(adapters[0])
    with pytest.raises(EngineError, match="was not loaded"):
        engine.answer(asking(adapters[1]))
    assert len(engine.answer(MIXED)) == len(MIXED)


def test_the_record_names_adapters_by_their_content(make: Make, adapters: tuple[str, str]) -> None:
    engine, _, reference = make(adapters[0], adapters[1])
    ours, theirs = engine.describe(), reference.describe()
    assert {name: ours[name] for name in ("adapter", "adapters", "fingerprint")} == {
        name: theirs[name] for name in ("adapter", "adapters", "fingerprint")
    }


def test_what_vllm_refuses_is_one_sentence_that_names_the_adapter(
    tiny_folder: Path, tiny_model: CausalLM, adapters: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeVllm(tiny_model, by_rows=True)
    fake.refuses = ValueError("unexpected modules:\n lm_head")
    install(monkeypatch, fake)
    with pytest.raises(UserError, match=r"one: vLLM cannot use this adapter \(unexpected modules: lm_head\)"):
        VllmEngine(tiny_folder, replace(TINY, weights=str(tiny_folder), vllm=VLLM, adapter=adapters[0]))
    assert fake.closed


def test_what_vllm_would_get_wrong_is_refused_before_it_starts(
    tiny_folder: Path, tiny_model: CausalLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tiny_model(tmp_path / "small", hidden_size=32)
    save_tiny_model(tmp_path / "deep", num_hidden_layers=5)
    for name, base, modules, says in [
        ("projection", tiny_folder, ("lm_head",), "changes lm_head, which the vLLM engine cannot: train without it"),
        ("other size", tmp_path / "small", MODULES, "is an adapter for another base than"),
        ("deeper", tmp_path / "deep", MODULES, r"it changes model\.layers\..*, which this one lacks"),
    ]:
        fake = FakeVllm(tiny_model, by_rows=True)
        install(monkeypatch, fake)
        adapter = save_tiny_adapter(tmp_path / name, base, 1, modules=modules)
        with pytest.raises(UserError, match=says) as refusal:
            VllmEngine(tiny_folder, replace(TINY, weights=str(tiny_folder), vllm=VLLM, adapters=(str(adapter),)))
        assert str(adapter) in str(refusal.value)
        assert fake.arguments == {}


def test_adapters_of_packed_weights_are_compared_with_what_was_packed(tiny_folder: Path, tmp_path: Path) -> None:
    base = tmp_path / "packed"
    base.mkdir()
    config = json.loads((tiny_folder / "config.json").read_text(encoding="utf-8"))
    packed = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}
    (base / "config.json").write_text(json.dumps({**config, "quantization_config": packed}), encoding="utf-8")
    adapter = save_tiny_adapter(tmp_path / "one", tiny_folder, 1, modules=("q_proj",))
    fields = adapter_fields(base, {"a": adapter, "": None})
    assert (fields["lora_target_modules"], fields["max_loras"]) == (["q_proj"], 1)
