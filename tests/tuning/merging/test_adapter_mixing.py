"""Hybridising adapters: what they add to each weight, lower ranks, exact ends, bad input."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load_file, save_file

from models.engines.adapter_matrices import Change, read_matrices
from tests.tiny_adapter import MODULES, save_tiny_adapter
from tests.tiny_model import save_tiny_model
from tests.tuning.merging.hybridizing import LAYERS, Make, assert_refused
from tuning.merging.adapter_mixing import cut, weighted_sum
from utilities.errors import UserError

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    save_tiny_model(folder, num_hidden_layers=LAYERS)
    return folder


@pytest.fixture
def pair(base: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two adapters of different rank, one with ranks of its own for some modules."""
    first = save_tiny_adapter(tmp_path / "a", base, 1, base_model_name_or_path="base")
    ranks = {"q_proj": 3}
    return first, save_tiny_adapter(tmp_path / "b", base, 2, rank=2, ranks=ranks, base_model_name_or_path="base")


def merged(base: Path, adapter: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the base with the adapter merged in by peft."""
    loading: Any = transformers.AutoModelForCausalLM
    model: Any = PeftModel.from_pretrained(loading.from_pretrained(base), str(adapter))
    weights: dict[str, torch.Tensor] = model.merge_and_unload().state_dict()
    return weights


def bytes_of(adapter: Path) -> tuple[bytes, bytes]:
    return (adapter / "adapter_config.json").read_bytes(), (adapter / "adapter_model.safetensors").read_bytes()


def test_merged_weights_are_the_parents_averaged_by_the_gradient(
    make: Make, base: Path, pair: tuple[Path, Path]
) -> None:
    child = make("method: gradient_slerp", *pair)
    a, b, c = (merged(base, adapter) for adapter in (*pair, child))
    ts = {"self_attn": (0.0, 0.3, 1.0), "mlp": (1.0, 0.7, 0.0)}  # five anchors, three layers
    for layer in range(LAYERS):
        for part in MODULES:
            name, t = f"model.layers.{layer}.{part}.weight", ts[part.partition(".")[0]][layer]
            assert torch.allclose(c[name], (1 - t) * a[name] + t * b[name], atol=1e-5), name
    assert all(torch.equal(a[name], c[name]) for name in a if "norm" in name or "embed" in name)
    config = json.loads((child / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["rank_pattern"]) == (4 + 3, 4 + 3, {})
    assert config["base_model_name_or_path"] == "base"


def test_several_adapters_are_averaged(make: Make, base: Path, pair: tuple[Path, Path], tmp_path: Path) -> None:
    third = save_tiny_adapter(tmp_path / "c", base, 3, base_model_name_or_path="base")
    child = make("{method: linear, weights: [1, 1, 2]}", *pair, third)
    a, b, c, mean = (merged(base, adapter) for adapter in (*pair, third, child))
    assert all(torch.allclose(mean[name], a[name] / 4 + b[name] / 4 + c[name] / 2, atol=1e-5) for name in mean)


def test_wise_ft_from_the_base_scales_what_is_added(make: Make, base: Path, pair: tuple[Path, Path]) -> None:
    child = make("{method: wise_ft, share: 0.25}", pair[0], base=base)
    plain, tuned = load_file(base / "model.safetensors"), merged(base, pair[0])
    between = merged(base, child)
    assert all(torch.allclose(between[name], 0.75 * plain[name] + 0.25 * tuned[name], atol=1e-5) for name in plain)
    assert json.loads((child / "adapter_config.json").read_text())["r"] == 4


def test_wise_ft_from_an_adapter_lies_between_two(make: Make, base: Path, pair: tuple[Path, Path]) -> None:
    child = merged(base, make("{method: wise_ft, share: 0.25}", pair[1], base=pair[0]))
    a, b = (merged(base, adapter) for adapter in pair)
    assert all(torch.allclose(child[name], 0.75 * a[name] + 0.25 * b[name], atol=1e-5) for name in child)


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize(
    "recipe",
    [
        "{{method: slerp, t: {t}}}",
        "{{method: gradient_slerp, attention: [{t}], mlp: [{t}, {t}], elsewhere: {t}}}",
        "{{method: linear, weights: [{rest}, {t}]}}",
        "{{method: wise_ft, share: {t}}}",
    ],
)
def test_the_ends_are_the_parents_bit_for_bit(make: Make, pair: tuple[Path, Path], recipe: str, end: int) -> None:
    child = make(recipe.format(t=end, rest=1 - end), pair[1], base=pair[0])
    assert bytes_of(child) == bytes_of(pair[end])


def test_half_precision_stays(make: Make, pair: tuple[Path, Path]) -> None:
    for adapter in pair:
        path = adapter / "adapter_model.safetensors"
        save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
    child = load_file(make("method: slerp", *pair, rank=3) / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in child.values()} == {torch.float16}


def test_of_two_precisions_the_child_has_the_wider(make: Make, base: Path, pair: tuple[Path, Path]) -> None:
    path = pair[0] / "adapter_model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
    child = make("method: slerp", *pair)
    assert {tensor.dtype for tensor in load_file(child / "adapter_model.safetensors").values()} == {torch.float32}
    a, b, c = (merged(base, adapter) for adapter in (*pair, child))
    assert all(torch.allclose(c[name], (a[name] + b[name]) / 2, atol=1e-5) for name in c)


def test_a_lower_rank_is_the_nearest_one_and_says_what_it_kept(
    make: Make, pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = read_matrices(make("method: slerp", *pair).rename(tmp_path / "whole"))
    child = make("{method: slerp, rank: 9}", *pair, rank=2)
    kept = total = 0.0
    for module, change in read_matrices(child).items():
        exact = torch.linalg.svdvals(whole[module].delta(CPU).double())
        assert change.down.shape[0] == 2
        lost = torch.linalg.matrix_norm(change.delta(CPU) - whole[module].delta(CPU))
        assert float(lost) == pytest.approx(float(exact[2:].square().sum().sqrt()), rel=1e-4)
        kept, total = kept + float(exact[:2].square().sum()), total + float(exact.square().sum())
    record = json.loads((child / "hybrid.json").read_text())
    assert record["rank"] == record["recipe"]["rank"] == 2
    assert record["norm_kept"] == pytest.approx((kept / total) ** 0.5, abs=1e-4)
    assert f"{record['norm_kept']:.2%} of the norm kept" in capsys.readouterr().out


def random_change(seed: int, rank: int, outputs: int, inputs: int, scale: float) -> Change:
    random = torch.Generator().manual_seed(seed)
    return Change(torch.randn(rank, inputs, generator=random), torch.randn(outputs, rank, generator=random), scale)


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6), st.floats(-1, 2), st.floats(0.1, 4))
def test_the_sum_of_two_changes_is_one_change(seed: int, one: int, two: int, share: float, scale: float) -> None:
    first, second = random_change(seed, one, 5, 4, scale), random_change(seed + 1, two, 5, 4, 2.0)
    both = weighted_sum([first, second], (1 - share, share))
    assert (both.scale, len(both.down)) == (1.0, one + two)
    expected = (1 - share) * first.delta(CPU) + share * second.delta(CPU)
    assert torch.allclose(both.delta(CPU), expected, atol=1e-3)


@given(st.integers(0, 1000), st.integers(1, 8), st.integers(1, 8))
def test_cutting_back_keeps_the_rank_asked_for_and_never_gains(seed: int, rank: int, to: int) -> None:
    change = random_change(seed, rank, 5, 4, 0.5)
    less = cut(change, to)
    assert less.change.down.shape == (to, 4)
    assert less.change.up.shape == (5, to)
    assert less.kept <= less.whole * (1 + 1e-5)
    if to >= min(rank, 4):
        assert torch.allclose(less.change.delta(CPU), change.delta(CPU), atol=1e-4)


# Bad input.


def _without_a_module(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if "layers.1.mlp.down_proj" not in name}
    save_file(kept, path, metadata={"format": "pt"})


def _of_another_base(folder: Path) -> None:
    path = folder / "adapter_config.json"
    path.write_text(path.read_text().replace('"base_model_name_or_path": "base"', '"base_model_name_or_path": "other"'))


def _of_another_size(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("down_proj.lora_B.weight"))
    save_file({**tensors, name: tensors[name][:-1].contiguous()}, path, metadata={"format": "pt"})


def _not_a_number(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    tensors["base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"][3, 1] = float("nan")
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_without_a_module, "a has model.layers.1.mlp.down_proj, which .*b lacks"),
        (_of_another_base, "a is an adapter for base, .*b one for other"),
        (_of_another_size, "down_proj is 64 x 96 in .*a and 63 x 96 in .*b"),
        (_not_a_number, r"b/adapter_model.safetensors: base_model.*layers.1.mlp.down_proj.lora_B.weight holds NaN"),
        (
            lambda folder: (folder / "adapter_model.safetensors").unlink(),
            "there is no adapter in .*b",
        ),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "adapter_config.json cannot be read"),
        (
            lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"no tensors"),
            "adapter_model.safetensors is not a safetensors file",
        ),
    ],
)
def test_an_unusable_parent_is_one_sentence_and_leaves_nothing(
    pair: tuple[Path, Path], tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(pair[1])
    assert_refused(tmp_path, pair, words)


def test_a_base_that_the_adapters_do_not_fit_is_told(make: Make, pair: tuple[Path, Path], tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "other", num_hidden_layers=LAYERS, intermediate_size=80)
    for parents in (pair, pair[:1]):  # checked alone, and mixed
        with pytest.raises(UserError, match=r"a changes .*mlp.* name the base of the adapter"):
            make("method: slerp", *parents, base=tmp_path / "other")
        with pytest.raises(UserError, match=r"nowhere .*: name a"):
            make("method: slerp", *parents, base=tmp_path / "nowhere")


def test_adapters_and_full_weights_are_not_parents_together(make: Make, base: Path, pair: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match=r"is an adapter and .* has full weights"):
        make("method: slerp", pair[0], base)
