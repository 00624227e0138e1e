"""Packed layers and grouped attention compute what plain ones do, and the faster precision is chosen by its rates."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from models.engines.answering.tokens import TokenTree, grow_tree
from models.engines.transformers_engine import precision
from models.engines.transformers_engine.attention import grouped_attention, numbered
from models.engines.transformers_engine.decoding import Row, decode
from models.engines.transformers_engine.engine import CausalLM, TransformersEngine
from models.engines.transformers_engine.precision import fastest, precision_of
from tests.conftest import TINY
from tests.tiny_adapter import save_tiny_adapter
from tests.tiny_model import ARCHITECTURES, save_tiny_model
from utilities import packed_products
from utilities.packed_products import PackedLinear, can_pack

pytestmark = pytest.mark.slow

CONFIG = SimpleNamespace(hidden_size=64, intermediate_size=96)
TREES = [
    grow_tree([10, 11, 12], [[100], [100, 101], [103, 104]]),
    grow_tree([*range(30, 90)], [[7, 8, 9], [7, 8]]),
]
needs_packing = pytest.mark.skipif(not can_pack(torch.float32), reason="this torch has no packed products")


def scores(model: CausalLM, trees: list[TokenTree] = TREES) -> torch.Tensor:
    prefix = model.prefix([5, 60, 61])
    found = [model.score(trees, each, budget) for each in (prefix, None) for budget in (40, 1024)]
    return torch.tensor([value for run in found for tree in run for path in tree for value in path])


@pytest.fixture(scope="module")
def folders(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    made = {name: tmp_path_factory.mktemp(name) for name in ARCHITECTURES}
    for name, folder in made.items():
        save_tiny_model(folder, name)
    return made


@needs_packing
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_packed_model_scores_as_the_plain_one(folders: Mapping[str, Path], name: str) -> None:
    plain, packed = (CausalLM(folders[name], torch.float32, "cpu", packs=packs) for packs in (False, True))
    assert any(isinstance(module, PackedLinear) for module in packed.model.modules())
    torch.testing.assert_close(scores(packed), scores(plain), atol=1e-4, rtol=0)


@needs_packing
def test_a_packed_model_in_bfloat16_scores_nearly_as_the_plain_one(tiny_folder: Path, tiny_model: CausalLM) -> None:
    packed = CausalLM(tiny_folder, torch.bfloat16, "cpu", packs=True)
    torch.testing.assert_close(scores(packed), scores(tiny_model), atol=0.3, rtol=0.1)


@needs_packing
def test_a_packed_model_writes_what_the_plain_one_writes(tiny_folder: Path, tiny_model: CausalLM) -> None:
    packed = CausalLM(tiny_folder, torch.float32, "cpu", packs=True)
    written = []
    for model in (tiny_model, packed):
        rows = [Row([*range(10, 10 + size)], lambda _: None, limit) for size, limit in ((3, 9), (40, 2), (12, 6))]
        decode(model, rows, model.prefix([5, 6]))
        written.append([row.tokens for row in rows])
    assert written[0] == written[1]
    assert [len(tokens) for tokens in written[0]] == [9, 2, 6]


@needs_packing
def test_packed_models_follow_a_switch_of_adapters(tiny_folder: Path, tmp_path: Path) -> None:
    named = {"": None, "one": save_tiny_adapter(tmp_path / "one", tiny_folder, 1)}
    plain, packed = (
        CausalLM(tiny_folder, torch.float32, "cpu", adapters=named, packs=packs) for packs in (False, True)
    )
    without = scores(packed)
    for model in (plain, packed):
        model.use("one")
    torch.testing.assert_close(scores(packed), scores(plain), atol=1e-4, rtol=0)
    assert (scores(packed) - without).abs().max() > 1e-2
    packed.use("")
    assert torch.equal(scores(packed), without)


@needs_packing
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(4,), (1, 4), (3, 5, 4)])
def test_a_packed_layer_computes_what_the_plain_one_does(bias: bool, shape: tuple[int, ...]) -> None:
    layer = torch.nn.Linear(4, 3, bias=bias)
    with torch.inference_mode():
        states = torch.randn(*shape)
        torch.testing.assert_close(PackedLinear(layer)(states), layer(states))


def test_rows_that_are_done_leave_the_batch(tiny_model: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    forward = tiny_model.forward

    def counted(ids: torch.Tensor, *others: Any) -> torch.Tensor:
        sizes.append(len(ids))
        return forward(ids, *others)

    monkeypatch.setattr(tiny_model, "forward", counted)
    decode(tiny_model, [Row([10, 11], lambda _: None, limit) for limit in (1, 4, 2)], None)
    assert sizes == [3, 3, 2, 1, 1]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(0, 5))
def test_grouped_attention_equals_attention_with_copied_keys(
    rows: int, keys: int, group: int, tokens: int, past: int
) -> None:
    torch.manual_seed(tokens)
    query = torch.randn(rows, keys * group, tokens, 8)
    key, value = torch.randn(2, rows, keys, past + tokens, 8).unbind()
    mask = torch.ones(rows, 1, tokens, past + tokens, dtype=torch.bool).tril(past)
    keys_of_all, values_of_all = (each.repeat_interleave(group, dim=1) for each in (key, value))
    wanted = scaled_dot_product_attention(query, keys_of_all, values_of_all, attn_mask=mask).transpose(1, 2)
    added = numbered(mask, group)
    assert isinstance(added, torch.Tensor)
    torch.testing.assert_close(grouped_attention(torch.nn.Identity(), query, key, value, added)[0], wanted)
    if not past:
        torch.testing.assert_close(grouped_attention(torch.nn.Identity(), query, key, value, None)[0], wanted)


@pytest.mark.parametrize(("units", "chosen"), [(True, "bfloat16 packed"), (False, "float32 packed")])
def test_the_processor_decides_over_the_precision_and_no_measured_rate(
    monkeypatch: pytest.MonkeyPatch, units: bool, chosen: str
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: units)
    monkeypatch.setattr(precision, "can_pack", lambda _: True)
    for plain in (1.0, 1000.0):  # as on a busy machine
        rates = {"float32": plain, "float32 packed": 90.0, "bfloat16 packed": 200.0}
        monkeypatch.setattr(precision, "_rate", lambda way, _, rates=rates: rates[str(way)])
        found = fastest(CONFIG)
        assert str(found) == chosen
        assert found.rates["float32"] == plain
        assert ("bfloat16 packed" in found.rates) is units


def test_a_torch_without_packed_products_keeps_plain_layers(monkeypatch: pytest.MonkeyPatch, tiny_folder: Path) -> None:
    def missing(*_: object) -> torch.Tensor:
        raise AttributeError("no such operator")

    monkeypatch.setattr(packed_products, "packed", missing)
    assert not can_pack(torch.float32)
    assert not can_pack(torch.float16)
    assert str(precision_of("float32", "cpu", tiny_folder)) == "float32"
    assert not precision_of("auto", "cpu", tiny_folder).packed
    assert str(TransformersEngine(tiny_folder, TINY).describe()["precision"]) == "float32"


def test_a_product_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_products, "product", lambda states, _, __: torch.zeros(4, 32, dtype=states.dtype))
    assert not can_pack(torch.float32)
    assert not can_pack(torch.bfloat16)
