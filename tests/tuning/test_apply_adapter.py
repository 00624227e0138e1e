"""An adapter put into its base's weights: the numbers, the other files, bad input, a full disk."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.engines.adapter_config import TENSORS
from tests.tiny_adapter import save_tiny_adapter
from tests.tiny_model import save_tiny_model
from tuning import apply_adapter
from utilities.errors import UserError

pytestmark = pytest.mark.slow


@pytest.fixture
def adapter(tiny_folder: Path, tmp_path: Path) -> Path:
    return save_tiny_adapter(tmp_path / "adapter", tiny_folder, 1)


def arguments(base: Path, adapter: Path) -> list[str]:
    return ["--base", str(base), "--adapter", str(adapter), "--output", str(adapter.parent / "dense")]


def test_the_weights_are_those_that_peft_merges_and_every_other_file_is_the_base_s(
    tiny_folder: Path, adapter: Path
) -> None:
    assert apply_adapter.main(arguments(tiny_folder, adapter)) == 0
    dense = adapter.parent / "dense"
    loading: Any = transformers.AutoModelForCausalLM
    merged: Any = PeftModel.from_pretrained(loading.from_pretrained(tiny_folder), str(adapter))
    expected = merged.merge_and_unload().state_dict()
    found, base = load_file(dense / "model.safetensors"), load_file(tiny_folder / "model.safetensors")
    assert found.keys() == base.keys()
    assert any(not torch.equal(found[name], base[name]) for name in found)
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in found)
    assert {path.name for path in dense.iterdir()} == {path.name for path in tiny_folder.iterdir()}
    assert (dense / "config.json").read_bytes() == (tiny_folder / "config.json").read_bytes()


def test_an_adapter_of_another_base_leaves_nothing(adapter: Path, tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "narrow", hidden_size=32)
    save_tiny_model(tmp_path / "shallow", num_hidden_layers=1)
    for base, words in (
        ("narrow", "name the base of the adapter"),
        ("shallow", "which .*shallow lacks: name the base of the adapter"),
    ):
        with pytest.raises(UserError, match=words):
            apply_adapter.main(arguments(tmp_path / base, adapter))
    assert {path.name for path in tmp_path.iterdir()} == {"adapter", "narrow", "shallow"}


def in_shards(folder: Path) -> Path:
    """Save the tiny model in two files with an index."""
    save_tiny_model(folder)
    whole = load_file(folder / "model.safetensors")
    names = sorted(whole)
    where = {name: f"model-0000{1 + (place % 2)}-of-00002.safetensors" for place, name in enumerate(names)}
    for file in set(where.values()):
        save_file({name: whole[name] for name in names if where[name] == file}, folder / file, {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (folder / "model.safetensors").unlink()
    return folder


def all_of(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


def test_only_the_files_that_transformers_loads_are_changed(tiny_folder: Path, adapter: Path, tmp_path: Path) -> None:
    apply_adapter.main(arguments(tiny_folder, adapter))
    expected = all_of((tmp_path / "dense").rename(tmp_path / "expected"))
    shards = in_shards(tmp_path / "shards")
    save_file(load_file(tiny_folder / "model.safetensors"), shards / "consolidated.safetensors")
    apply_adapter.main(arguments(shards, adapter))
    found = all_of(tmp_path / "dense")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not (tmp_path / "dense" / "consolidated.safetensors").exists()


def _lost(base: Path, _: Path) -> None:
    (base / "model-00002-of-00002.safetensors").unlink()


def _left_over(base: Path, _: Path) -> None:
    save_file(all_of(base), base / "model.safetensors")


def _not_finite(path: Path, name: str, value: float) -> None:
    tensors = load_file(path)
    tensors[name].view(-1)[5] = value
    save_file(tensors, path, {"format": "pt"})


def _infinite_base(base: Path, _: Path) -> None:
    _not_finite(base / "model-00001-of-00002.safetensors", "lm_head.weight", float("inf"))


def _diverged_adapter(_: Path, adapter: Path) -> None:
    _not_finite(adapter / TENSORS, "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight", float("nan"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_lost, "names model-00002-of-00002.safetensors, which is missing"),
        (_left_over, "holds model.safetensors, which is loaded first, and model.safetensors.index.json"),
        (_infinite_base, "model-00001-of-00002.safetensors: lm_head.weight holds NaN or infinity"),
        (_diverged_adapter, f"{TENSORS}: .*layers.0.mlp.down_proj.lora_A.weight holds NaN or infinity"),
    ],
)
def test_what_would_make_a_broken_model_is_one_sentence_and_leaves_nothing(
    adapter: Path, tmp_path: Path, damage: Callable[[Path, Path], None], words: str
) -> None:
    base = in_shards(tmp_path / "shards")
    damage(base, adapter)
    with pytest.raises(UserError, match=words) as told:
        apply_adapter.main(arguments(base, adapter))
    assert "\n" not in str(told.value)
    assert {path.name for path in tmp_path.iterdir()} == {"adapter", "shards"}


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tiny_folder: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("tuning.model_files.save_file", full)
    with pytest.raises(UserError, match=r"No space left on device.*make room or name another --output"):
        apply_adapter.main(arguments(tiny_folder, adapter))
    assert {path.name for path in tmp_path.iterdir()} == {"adapter"}


def test_what_is_there_already_or_cannot_be_read_is_told(tiny_folder: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model weights at"):
        apply_adapter.main(arguments(tmp_path / "nowhere", adapter))
    (adapter / TENSORS).write_bytes(b"no tensors")
    with pytest.raises(UserError, match="is not a safetensors file"):
        apply_adapter.main(arguments(tiny_folder, adapter))
    (tmp_path / "dense").mkdir()
    with pytest.raises(UserError, match="exists"):
        apply_adapter.main(arguments(tiny_folder, save_tiny_adapter(tmp_path / "again", tiny_folder, 1)))
