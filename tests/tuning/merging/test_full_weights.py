"""Hybridising full weights: exact ends, streaming, several files, the other files of a model, mergekit's result."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from models.engines.transformers_engine.loading import load_causal_lm
from tests.tuning.merging.hybridizing import Make
from tuning.merging import full_weights
from tuning.merging.checkpoint import Checkpoint
from tuning.model_files import write_tensors

pytestmark = pytest.mark.slow

FIVE = [0.0, 0.5, 0.3, 0.7, 1.0]


def bits(folder: Path) -> dict[str, bytes]:
    tensors: dict[str, torch.Tensor] = {}
    for path in folder.glob("*.safetensors"):
        tensors |= load_file(path)
    return {name: bytes(tensor.flatten().view(torch.uint8).numpy()) for name, tensor in tensors.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
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
def test_the_ends_are_the_parents_bit_for_bit(
    make: Make, parents: dict[torch.dtype, tuple[Path, Path]], recipe: str, end: int, dtype: torch.dtype
) -> None:
    first, second = parents[dtype]
    child = make(recipe.format(t=end, rest=1 - end), second, base=first)
    assert bits(child) == bits((first, second)[end])


def test_a_child_loads_and_has_the_gradient_of_its_layers(
    make: Make, parents: dict[torch.dtype, tuple[Path, Path]]
) -> None:
    first, second = parents[torch.bfloat16]
    child = make("method: gradient_slerp", first, second)
    a, b, c = (load_file(folder / "model.safetensors") for folder in (first, second, child))
    expected = {"layers.0.self_attn.k_proj": a, "layers.2.self_attn.k_proj": b, "layers.0.mlp.up_proj": b}
    for module, parent in expected.items():
        assert torch.equal(c[f"model.{module}.weight"], parent[f"model.{module}.weight"])
    assert not any(torch.equal(c[name], each[name]) for name in c if "norm" in name for each in (a, b))
    assert {tensor.dtype for tensor in c.values()} == {torch.bfloat16}
    assert load_causal_lm(child, torch.float32, "cpu") is not None


def test_the_first_parent_s_files_go_along_and_the_record_says_what_was_done(
    make: Make, full_pair: tuple[Path, Path]
) -> None:
    (full_pair[1] / "config.json").write_text((full_pair[1] / "config.json").read_text() + "\n")
    (full_pair[0] / "shopalign.json").write_text("{}")
    child = make("{method: slerp, t: 0.25}", *full_pair)
    copied = {path.name for path in full_pair[0].iterdir()} - {"shopalign.json"}
    assert {path.name for path in child.iterdir()} == copied | {"hybrid.json"}
    for name in copied - {"model.safetensors"}:
        assert (child / name).read_bytes() == (full_pair[0] / name).read_bytes()
    record = json.loads((child / "hybrid.json").read_text())
    assert record["recipe"] == {"method": "slerp", "t": 0.25, "rank": 0}
    assert [each["name"] for each in record["mixed"]] == ["a", "b"]
    assert len({each["fingerprint"] for each in record["mixed"]}) == len(set(record["sha256"])) == 2
    assert (child / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_large_results_are_several_files_with_an_index(
    make: Make, parents: dict[torch.dtype, tuple[Path, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bits(make("method: slerp", *parents[torch.float32]))
    monkeypatch.setattr(full_weights, "FILE_BYTES", 60_000)
    child = make("method: slerp", *parents[torch.float32])
    files = sorted(child.glob("*.safetensors"))
    assert len(files) > 3
    assert files[0].name == f"model-00001-of-{len(files):05d}.safetensors"
    index = json.loads((child / "model.safetensors.index.json").read_text())
    assert bits(child) == whole
    assert index["weight_map"] == {name: path.name for path in files for name in load_file(path)}
    assert index["metadata"]["total_size"] == sum(map(len, whole.values()))
    parent = child.rename(tmp_path / "parent")
    assert bits(make("{method: slerp, t: 0.0}", parent, parents[torch.float32][0])) == whole  # read by its index


def test_names_are_split_in_order() -> None:
    sizes = {"a": 4, "b": 6, "c": 1, "d": 30, "e": 5}
    assert full_weights.split(sizes, 10) == [["a", "b"], ["c"], ["d"], ["e"]]


def test_tensors_are_read_once_and_written_before_the_next_file_s_are_read(
    make: Make, parents: dict[torch.dtype, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    read, write = Checkpoint.read, write_tensors

    def reading(checkpoint: Checkpoint, name: str) -> torch.Tensor:
        events.append(name)
        return read(checkpoint, name)

    def writing(path: Path, tensors: dict[str, torch.Tensor]) -> None:
        events.append("written")
        assert sum(tensor.nbytes for tensor in tensors.values()) <= 60_000 or len(tensors) == 1
        write(path, tensors)

    monkeypatch.setattr(Checkpoint, "read", reading)
    monkeypatch.setattr(full_weights, "write_tensors", writing)
    monkeypatch.setattr(full_weights, "FILE_BYTES", 60_000)
    child = make("method: slerp", *parents[torch.float32])
    assert events.count("written") == len(list(child.glob("*.safetensors")))
    names = [name for name in events if name != "written"]
    assert names == [name for name in names[::2] for _ in range(2)]  # both parents' tensor, then the next one
    assert sorted(names[::2]) == sorted(bits(child))
    assert max(map(len, "".join("w" if name == "written" else "r" for name in events).split("w"))) < len(names) / 2


def test_mergekit_makes_the_same_child(full_pair: tuple[Path, Path], make: Make, tmp_path: Path) -> None:
    config: Any = pytest.importorskip("mergekit.config")
    merge: Any = pytest.importorskip("mergekit.merge")
    child = load_file(make("method: gradient_slerp", *full_pair) / "model.safetensors")
    anchors = [
        {"filter": "self_attn", "value": list(FIVE)},
        {"filter": "mlp", "value": [1, 0.5, 0.7, 0.3, 0]},
        {"value": 0.5},
    ]
    models = [{"model": str(folder)} for folder in full_pair]
    plan = {"merge_method": "slerp", "base_model": str(full_pair[0]), "models": models, "parameters": {"t": anchors}}
    options = merge.MergeOptions(quiet=True, write_model_card=False)
    merge.run_merge(config.MergeConfiguration.model_validate(plan), str(tmp_path / "theirs"), options)
    theirs = load_file(tmp_path / "theirs" / "model.safetensors")
    assert child.keys() == theirs.keys()
    for name, tensor in child.items():
        assert torch.allclose(tensor, theirs[name], rtol=1e-4, atol=1e-6), name
