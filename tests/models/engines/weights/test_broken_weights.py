"""Every broken folder of weights is named in one sentence: the file, the cause, the remedy."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models.engines.adapter_config import check_adapter
from models.engines.quantization import old_awq, quantization_of
from models.engines.registry import check_engine
from models.engines.settings import EngineSettings
from models.engines.weight_shards import weight_files
from models.engines.weights_folder import check_model, check_weights
from tests.models.engines.weights.broken_weights import ADAPTERS, MODELS, TOKENIZERS, Broken
from tests.models.engines.weights.tiny_weights import NAMES, in_shards, packed, write_adapter, write_json, write_model
from utilities.errors import UserError
from utilities.fingerprint import fingerprint, fingerprint_of_adapter


def assert_named(error: UserError, folder: Path, broken: Broken) -> None:
    message = str(error)
    assert "\n" not in message
    assert "out of memory" not in message
    if "there is no adapter" not in message:
        assert message.startswith(f"{folder / broken.file if broken.file else folder} ")
    assert ": " in message.removeprefix(str(folder))


@pytest.mark.parametrize("name", MODELS)
def test_a_broken_folder_is_named_before_an_engine_starts(tmp_path: Path, name: str) -> None:
    folder, broken = write_model(tmp_path / "model"), MODELS[name]
    broken.damage(folder)
    with pytest.raises(UserError, match=broken.words) as caught:
        check_engine(EngineSettings(weights=str(folder)))
    assert_named(caught.value, folder, broken)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_broken_adapter_is_named_before_an_engine_starts(tmp_path: Path, name: str) -> None:
    model, folder, broken = write_model(tmp_path / "model"), write_adapter(tmp_path / "adapter"), ADAPTERS[name]
    broken.damage(folder)
    with pytest.raises(UserError, match=broken.words) as caught:
        check_engine(EngineSettings(weights=str(model), adapter=str(folder)))
    assert_named(caught.value, folder, broken)


def fingerprint_or_sentence(take: Callable[[Path], str], folder: Path) -> str:
    try:
        return take(folder)
    except UserError as error:
        return str(error)


@pytest.mark.parametrize("name", MODELS)
def test_a_broken_folder_has_a_fingerprint_or_one_sentence(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path / "model")
    MODELS[name].damage(folder)
    found = fingerprint_or_sentence(fingerprint, folder)
    assert len(found) == 64 or found.startswith(str(folder))


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_broken_adapter_has_a_fingerprint_or_one_sentence(tmp_path: Path, name: str) -> None:
    folder = write_adapter(tmp_path / "adapter")
    ADAPTERS[name].damage(folder)
    found = fingerprint_or_sentence(fingerprint_of_adapter, folder)
    assert len(found) == 64 or found.startswith(str(folder))


def test_sound_folders_pass(tmp_path: Path) -> None:
    whole, shards = write_model(tmp_path / "whole"), in_shards(write_model(tmp_path / "shards"))
    assert {tensor.name for tensor in check_model(whole)} == {tensor.name for tensor in check_model(shards)}
    assert len(weight_files(shards)) == len(NAMES)
    assert len(check_adapter(write_adapter(tmp_path / "adapter"), "none")) == 2


def test_files_that_are_not_loaded_may_be_anything(tmp_path: Path) -> None:
    folder = in_shards(write_model(tmp_path))
    for name in ("consolidated.safetensors", "training_args.bin", "notes.json", "quant_config.json"):
        (folder / name).write_bytes(b"\0")
    assert len(check_model(folder)) == len(NAMES)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_weights_alone_need_no_tokenizer(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path)
    TOKENIZERS[name].damage(folder)
    assert len(check_weights(folder)) == len(NAMES)


def test_a_sound_file_that_begins_like_an_archive_passes(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    length = int.from_bytes(b"\x1f\x8b\x08" + bytes(5), "little")
    header = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'.ljust(length)
    (folder / "model.safetensors").write_bytes(length.to_bytes(8, "little") + header + b"\0")
    assert len(check_model(folder)) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"PK\x03\x04rest", "is a zip archive: unpack it"), (b"{}", "is a file, not a folder of weights")],
)
def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(UserError, match=words):
        check_model(tmp_path / "model")


def test_an_adapter_in_the_place_of_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a LoRA adapter, not a whole model: name the folder of its base"):
        check_model(write_adapter(tmp_path))


@pytest.mark.parametrize(
    "given",
    [
        {"zero_point": True, "q_group_size": 32, "w_bit": 4, "version": "GEMM"},
        {"zero_point": True, "group_size": 32, "bits": 4, "version": "gemm", "quant_method": "awq"},
    ],
)
def test_autoawqs_older_file_is_read_in_the_words_of_the_newer_one(tmp_path: Path, given: dict[str, object]) -> None:
    folder = packed(write_model(tmp_path))
    write_json(folder / "quant_config.json", given)
    check_model(folder)
    found = quantization_of(folder, {})
    assert found == old_awq(folder)
    assert found == {
        "quant_method": "awq",
        "version": "gemm",
        "bits": 4,
        "group_size": 32,
        "zero_point": True,
        "modules_to_not_convert": None,
    }
    assert quantization_of(folder, {"quantization_config": {"quant_method": "gptq"}}) == {"quant_method": "gptq"}


def test_autoawqs_older_file_beside_dense_weights_means_nothing(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    write_json(folder / "quant_config.json", {"w_bit": 4, "q_group_size": 32})
    assert old_awq(folder) is None


def sparse_shard(path: Path, names: list[str], size: int) -> None:
    """Write a shard whose tensors take no room on the disk."""
    entries = {
        name: {"dtype": "U8", "shape": [size], "data_offsets": [place * size, (place + 1) * size]}
        for place, name in enumerate(names)
    }
    header = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size * len(names))


def test_the_check_reads_headers_alone(tmp_path: Path) -> None:
    """The shards are as many and as large as those of a model of 70 billion weights in 16 bits."""
    folder = write_model(tmp_path)
    (folder / "model.safetensors").unlink()
    placed = {}
    for shard in range(1, 31):
        file = f"model-{shard:05}-of-00030.safetensors"
        names = [f"model.layers.{shard}.{number}.weight" for number in range(25)]
        sparse_shard(folder / file, names, 190_000_000)
        placed.update(dict.fromkeys(names, file))
    write_json(folder / "model.safetensors.index.json", {"weight_map": placed})
    started = time.perf_counter()
    assert len(check_model(folder)) == 750
    assert time.perf_counter() - started < 1
