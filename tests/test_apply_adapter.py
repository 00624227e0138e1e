"""An adapter put into its base's weights: the numbers, the other files, bad input, a full disk."""

import json
import math
import shutil
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
from tuning.merging.checkpoint import INDEX
from utilities.errors import UserError


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
    for base, words in (("narrow", "name its own base"), ("shallow", "which .*shallow lacks: name its own base")):
        with pytest.raises(UserError, match=words):
            apply_adapter.main(arguments(tmp_path / base, adapter))
    assert {path.name for path in tmp_path.iterdir()} == {"adapter", "narrow", "shallow"}


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tiny_folder: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("tuning.merging.folder.save_file", full)
    with pytest.raises(UserError, match=r"No space left on device.*make room or name another --output"):
        apply_adapter.main(arguments(tiny_folder, adapter))
    assert {path.name for path in tmp_path.iterdir()} == {"adapter"}


def test_weights_that_are_not_whole_are_refused(tiny_folder: Path, adapter: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_folder, base)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (base / INDEX).write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(UserError, match=r"holds model.safetensors and .*index.json"):
        apply_adapter.main(arguments(base, adapter))
    (base / "model.safetensors").rename(base / "model-00001-of-00002.safetensors")
    with pytest.raises(UserError, match=r"names model-00002-of-00002.safetensors, which .*base lacks"):
        apply_adapter.main(arguments(base, adapter))
    assert {path.name for path in tmp_path.iterdir()} == {"adapter", "base"}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_adapter_of_no_numbers_is_refused(tiny_folder: Path, adapter: Path, tmp_path: Path, value: float) -> None:
    tensors = load_file(adapter / TENSORS)
    tensors[min(tensors)][0, 0] = value
    save_file(tensors, adapter / TENSORS)
    with pytest.raises(UserError, match=f"{TENSORS}: .* holds values that are no numbers"):
        apply_adapter.main(arguments(tiny_folder, adapter))
    assert {path.name for path in tmp_path.iterdir()} == {"adapter"}


def test_what_is_there_already_or_cannot_be_read_is_told(tiny_folder: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model weights at"):
        apply_adapter.main(arguments(tmp_path / "nowhere", adapter))
    (adapter / TENSORS).write_bytes(b"no tensors")
    with pytest.raises(UserError, match="cannot be read"):
        apply_adapter.main(arguments(tiny_folder, adapter))
    (tmp_path / "dense").mkdir()
    with pytest.raises(UserError, match="exists"):
        apply_adapter.main(arguments(tiny_folder, save_tiny_adapter(tmp_path / "again", tiny_folder, 1)))
