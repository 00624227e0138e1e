import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from models.engines.interface import EngineError
from models.engines.registry import create_engine
from models.engines.settings import engine_identity
from models.engines.transformers_engine.engine import CausalLM, TransformersEngine
from prompts.prompt import Prompt
from tests.conftest import TINY
from tests.models.engines.test_engine import MIXED
from tests.tiny_adapter import save_tiny_adapter
from tests.tiny_model import save_tiny_model
from utilities.errors import UserError

pytestmark = pytest.mark.slow

IDS = torch.tensor([[1, *range(20, 80)], [1, *range(100, 160)]])
PATTERNS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "rank stabilised": {"use_rslora": True},
    "ranks and alphas of their own": {
        "ranks": {"self_attn.q_proj": 2, "layers.1.mlp.down_proj": 6},
        "alpha_pattern": {"o_proj": 3, r"layers\.0\.mlp\..*": 1},
    },
}


@pytest.fixture(scope="module")
def one(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_adapter(tmp_path_factory.mktemp("adapters") / "one", tiny_folder, 1)


@pytest.fixture(scope="module")
def two(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    modules = ("self_attn.k_proj", "mlp.down_proj")
    return save_tiny_adapter(tmp_path_factory.mktemp("adapters") / "two", tiny_folder, 2, rank=8, modules=modules)


@pytest.fixture
def damaged(tiny_folder: Path, tmp_path: Path) -> Path:
    """An adapter to be damaged."""
    return save_tiny_adapter(tmp_path / "damaged", tiny_folder, 3)


def load(base: Path, *adapters: Path | None, dtype: torch.dtype = torch.float32) -> CausalLM:
    named = {str(folder) if folder else "": folder for folder in adapters}
    return CausalLM(base, dtype, "cpu", adapters=named)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def by_peft(base: Path, adapter: Path) -> Any:
    peft = pytest.importorskip("peft")
    kind: Any = transformers.AutoModelForCausalLM
    model = kind.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    return peft.PeftModel.from_pretrained(model, adapter).merge_and_unload()


def engine(base: Path, own: Path | None, *others: Path | None) -> TransformersEngine:
    named = tuple(str(each or "") for each in others)
    return TransformersEngine(base, replace(TINY, weights=str(base), adapter=str(own or ""), adapters=named))


def with_adapter(adapter: Path | None) -> list[Prompt]:
    return [replace(prompt, adapter=str(adapter or "")) for prompt in MIXED]


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_merged_weights_are_those_of_peft(tiny_folder: Path, tmp_path: Path, pattern: Mapping[str, Any]) -> None:
    adapter = save_tiny_adapter(tmp_path / "adapter", tiny_folder, 5, **pattern)
    assert same(weights(load(tiny_folder, adapter).model), weights(by_peft(tiny_folder, adapter)))
    assert not same(weights(load(tiny_folder, adapter).model), weights(load(tiny_folder, None).model))


def test_a_half_precision_weight_is_merged_in_float32(tiny_folder: Path, one: Path) -> None:
    merged = load(tiny_folder, one, dtype=torch.bfloat16).model.model.layers[0].self_attn.q_proj.weight
    base = load(tiny_folder, None, dtype=torch.bfloat16).model.model.layers[0].self_attn.q_proj.weight
    tensors = load_file(one / "adapter_model.safetensors")
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    expected = base.float() + 2 * (tensors[name.format("B")] @ tensors[name.format("A")])
    assert merged.dtype == torch.bfloat16
    assert torch.equal(merged, expected.bfloat16())


def test_switching_back_restores_the_base_bit_by_bit_and_every_adapter_as_it_was(
    tiny_folder: Path, one: Path, two: Path
) -> None:
    model = load(tiny_folder, None, one, two, dtype=torch.bfloat16)
    alone = {folder: weights(load(tiny_folder, folder, dtype=torch.bfloat16).model) for folder in (None, one, two)}
    for folder in (one, two, None, two, one, one, None):
        model.use(str(folder or ""))
        assert same(weights(model.model), alone[folder])


def test_every_prompt_of_a_batch_is_answered_with_its_own_adapter(tiny_folder: Path, one: Path, two: Path) -> None:
    alone = {folder: engine(tiny_folder, folder).answer(MIXED) for folder in (None, one, two)}
    assert alone[one] != alone[two] != alone[None] != alone[one]
    together = engine(tiny_folder, one, two, None)
    prompts = [prompt for triple in zip(with_adapter(two), with_adapter(None), MIXED, strict=True) for prompt in triple]
    for _ in range(2):
        found = together.answer(prompts)
        assert found[0::3] == alone[two]
        assert found[1::3] == alone[None]
        assert found[2::3] == alone[one]


def test_what_prompts_begin_with_is_kept_for_each_adapter(tiny_folder: Path, one: Path) -> None:
    model = load(tiny_folder, None, one)
    base = model.prefix([5, 6, 7])
    model.use(str(one))
    tuned = model.prefix([5, 6, 7])
    assert not torch.equal(base.layers[1][0], tuned.layers[1][0])
    model.use("")
    assert model.prefix([5, 6, 7]) is base


def test_an_adapter_that_was_not_loaded_is_refused_and_the_engine_lives(tiny_folder: Path, one: Path) -> None:
    only = engine(tiny_folder, one)
    with pytest.raises(EngineError, match="not loaded"):
        only.answer(with_adapter(None))
    assert len(only.answer(MIXED)) == len(MIXED)


def test_the_record_tells_adapters_by_their_content(tiny_folder: Path, one: Path, two: Path) -> None:
    plain, tuned = engine(tiny_folder, None).describe(), engine(tiny_folder, one, two).describe()
    assert plain["adapters"] == {}
    assert tuned["fingerprint"] == plain["fingerprint"]
    assert tuned["adapter"] == str(one)
    assert isinstance(tuned["adapters"], dict)
    assert set(tuned["adapters"]) == {str(one), str(two)}
    assert len(set(tuned["adapters"].values())) == 2


def test_a_tuned_model_is_another_than_its_base(tiny_folder: Path, damaged: Path) -> None:
    base = replace(TINY, weights=str(tiny_folder))
    tuned = replace(base, adapter=str(damaged))
    before = engine_identity(tuned)["weights_sha256"]
    assert len({engine_identity(base)["weights_sha256"], before, ""}) == 3
    rewrite(damaged, lambda tensors: next(iter(tensors.values())).add_(1))
    assert engine_identity(tuned)["weights_sha256"] not in ("", before)


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = {name: tensor.clone() for name, tensor in load_file(folder / "adapter_model.safetensors").items()}
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def configure(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")

    return change


def change_tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, change)


NORM = "base_model.model.model.norm.lora_{}.weight"
Q = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (configure(use_dora=True), "use_dora is True, which is not supported"),
        (configure(bias="lora_only"), "bias is 'lora_only', which is not supported"),
        (configure(lora_bias=True), "lora_bias is True"),
        (configure(modules_to_save=["lm_head"]), "modules_to_save is"),
        (configure(init_lora_weights="pissa"), "init_lora_weights is 'pissa', which changes the base"),
        (configure(peft_type="IA3"), "peft_type is 'IA3'"),
        (configure(r=0), "r is 0; it must be at least 1"),
        (configure(r="4"), "r is '4'; it must be a whole number"),
        (configure(lora_alpha=None), "lora_alpha: not given"),
        (configure(r=5), "matrices of rank 4 and 4, adapter_config.json says 5"),
        (configure(rank_pattern={"(": 4}), r"rank_pattern\.\( is '\('; it must be a regular expression"),
        (lambda folder: (folder / "adapter_config.json").write_text("[]"), "config.json holds a list"),
        (lambda folder: (folder / "adapter_config.json").write_bytes(b"\xff{"), "config.json cannot be read"),
        (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"\x00" * 40), "is not a safetensors file"),
        (lambda folder: (folder / "adapter_model.safetensors").write_text("version https://git-lfs"), "git lfs pull"),
        (change_tensors(lambda tensors: tensors.pop(Q.format("B"))), "q_proj has no lora_B"),
        (change_tensors(lambda tensors: tensors.clear()), "holds no matrix"),
        (change_tensors(lambda t: t.update({"base_model.model.lm_head.weight": torch.ones(2)})), "is not a matrix"),
        (
            change_tensors(lambda t: t.update({Q.format("A"): torch.ones(4, 32)})),
            r"another base .*q_proj is 64 x 64 here and 64 x 32 there",
        ),
        (
            change_tensors(lambda t: t.update({Q.format(m).replace(".0.", ".7."): torch.ones(4, 4) for m in "AB"})),
            r"another base .* it changes model.layers.7.self_attn.q_proj, which this one lacks",
        ),
        (
            change_tensors(lambda t: t.update({NORM.format(m): torch.ones(4, 4) for m in "AB"})),
            "model.norm is no linear layer here",
        ),
    ],
)  # fmt: skip
def test_an_adapter_that_is_damaged_or_not_understood_is_refused_in_one_sentence(
    tiny_folder: Path, damaged: Path, damage: Callable[[Path], object], says: str
) -> None:
    damage(damaged)
    with pytest.raises(UserError, match=says) as refusal:
        load(tiny_folder, damaged)
    assert str(damaged) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_adapter_of_another_base_is_refused(one: Path, tmp_path: Path) -> None:
    save_tiny_model(tmp_path, hidden_size=32)
    with pytest.raises(UserError, match="is an adapter for another base than"):
        load(tmp_path, one)


def test_a_projection_that_is_the_embedding_too_is_not_changed_alone(tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "base", tie_word_embeddings=True)
    save_tiny_model(tmp_path / "untied")
    adapter = save_tiny_adapter(tmp_path / "adapter", tmp_path / "untied", 1, modules=("lm_head",))
    assert load(tmp_path / "untied", adapter)
    with pytest.raises(UserError, match="lm_head shares its weights with the embedding"):
        load(tmp_path / "base", adapter)


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_adapter_is_named_before_anything_is_loaded(tiny_folder: Path, damaged: Path, missing: str) -> None:
    (damaged / missing).unlink()
    for settings in ({"adapter": str(damaged)}, {"adapters": (str(damaged),)}):
        with pytest.raises(UserError, match=r"there is no adapter in .*damaged.* to none"):
            create_engine(replace(TINY, weights=str(tiny_folder), **settings))
