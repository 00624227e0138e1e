"""Ways in which folders of weights and adapters are broken in practice, each with the words that must name it."""

import gzip
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.models.engines.weights.tiny_weights import INDEX, NAMES, in_shards, packed, write_json, write_tensors

SINGLE = "model.safetensors"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 538090408\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"
SECOND = "model-00002-of-00003.safetensors"

Damage = Callable[[Path], object]


class Broken(NamedTuple):
    """A damage of a sound folder, and the words of the message that must follow from it."""

    damage: Damage
    words: str
    file: str = SINGLE


def holding(name: str, content: bytes) -> Damage:
    """Return a damage that gives a file this content."""
    return lambda folder: (folder / name).write_bytes(content)


def without(*names: str) -> Damage:
    """Return a damage that removes files."""

    def damage(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return damage


def changed(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """Return a damage that changes a file's content."""
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def as_folder(name: str) -> Damage:
    """Return a damage that puts a folder in the place of a file."""

    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def sharded(damage: Damage) -> Damage:
    """Return the damage of a folder in shards."""
    return lambda folder: damage(in_shards(folder))


def _zip(folder: Path) -> None:
    inner = (folder / SINGLE).read_bytes()
    with zipfile.ZipFile(folder / SINGLE, "w") as archive:
        archive.writestr(SINGLE, inner)


def _dangling(folder: Path) -> None:
    (folder / SINGLE).unlink()
    (folder / SINGLE).symlink_to("../blobs/0123")


def _pickled(folder: Path) -> None:
    (folder / SINGLE).rename(folder / "pytorch_model.bin")


def _lacks_tensor(folder: Path) -> None:
    write_tensors(folder / SECOND, ["another.weight"])


def _renamed(name: str) -> Damage:
    return lambda folder: (folder / SINGLE).rename(folder / name)


def _index_with(place: object) -> Damage:
    return lambda folder: write_json(folder / INDEX, {"weight_map": dict.fromkeys(NAMES, place)})


def _half_vocabulary(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder / "vocab.json")


def _header(content: bytes, data: int = 0) -> bytes:
    return len(content).to_bytes(8, "little") + content + bytes(data)


def _packed_alone(folder: Path) -> None:
    packed(folder)


def _gptq(folder: Path) -> None:
    write_json(packed(folder) / "quantize_config.json", {"bits": 4, "group_size": 128, "desc_act": False})


def _odd_awq(folder: Path) -> None:
    write_json(packed(folder) / "quant_config.json", {"zero_point": True})


def _adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / SINGLE).rename(folder / "adapter_model.safetensors")
    write_json(folder / "adapter_config.json", {"peft_type": "LORA", "r": 2, "lora_alpha": 4})


WEIGHTS: Mapping[str, Broken] = {
    "a pointer": Broken(holding(SINGLE, POINTER), "is a Git LFS pointer, not the file itself: run `git lfs pull`"),
    "a page": Broken(holding(SINGLE, PAGE), "is an HTML page: download the file itself"),
    "an error in XML": Broken(holding(SINGLE, b'<?xml version="1.0"?><Error/>'), "is an XML page"),
    "a zip": Broken(_zip, "is a zip archive: unpack it"),
    "a gzip": Broken(changed(SINGLE, gzip.compress), "is packed with gzip: unpack it"),
    "a GGUF file": Broken(holding(SINGLE, b"GGUF\3\0\0\0" + bytes(64)), "is a GGUF file: take the model's"),
    "a pickle by another name": Broken(holding(SINGLE, b"\x80\x02\x8a\nl\xfc\x9cF" + bytes(64)), "is a pickled"),
    "an empty file": Broken(holding(SINGLE, b""), "is empty: download it again"),
    "seven bytes": Broken(holding(SINGLE, b"\x07" + bytes(6)), "is not a safetensors file"),
    "zeros": Broken(holding(SINGLE, bytes(4096)), "is not a safetensors file"),
    "an error in words": Broken(holding(SINGLE, b"Invalid username or password."), "is not a safetensors file"),
    "cut tensors": Broken(changed(SINGLE, lambda data: data[:-40]), "is cut short: by its header it has"),
    "a cut header": Broken(changed(SINGLE, lambda data: data[:60]), "is cut short: its header takes"),
    "bytes too many": Broken(changed(SINGLE, lambda data: data + bytes(5)), "is too long: by its header it has"),
    "a header that is no JSON": Broken(holding(SINGLE, _header(b"{no JSON at all", 64)), "has a header that is not"),
    "a header of other JSON": Broken(holding(SINGLE, _header(b'{"a": {"dtype": 1}}', 64)), "has a header that is not"),
    "no tensor": Broken(holding(SINGLE, _header(b"{}")), "holds no tensor"),
    "a folder as file": Broken(as_folder(SINGLE), "is a folder, not a file"),
    "a link to nothing": Broken(_dangling, "is a link to a file that is not there"),
    "pickled weights": Broken(_pickled, "holds pickled weights only .*pytorch_model.bin", ""),
    "GGUF weights": Broken(_renamed("model-Q4_K.gguf"), "holds GGUF weights only", ""),
    "no weights": Broken(without(SINGLE), "holds no safetensors file", ""),
    "a file of another name": Broken(_renamed("consolidated.safetensors"), f"rename the file to {SINGLE}", ""),
    "shards without an index": Broken(sharded(without(INDEX)), f"holds 3 shards and no {INDEX}: download", ""),
    "some shards without an index": Broken(sharded(without(INDEX, SECOND)), f"holds 2 of 3 shards and no {INDEX}", ""),
    "a missing shard": Broken(sharded(without(SECOND)), f"names {SECOND}, which is missing: download", INDEX),
    "a shard without a tensor": Broken(sharded(_lacks_tensor), f"lacks {NAMES[1]}, which {INDEX} places", SECOND),
    "a pointer as shard": Broken(sharded(holding(SECOND, POINTER)), "is a Git LFS pointer", SECOND),
    "a cut shard": Broken(sharded(changed(SECOND, lambda data: data[:-1])), "is cut short: by its header", SECOND),
    "an index that is no JSON": Broken(sharded(holding(INDEX, b'{"weight_map": {')), "cannot be read", INDEX),
    "an index that is a page": Broken(sharded(holding(INDEX, PAGE)), "is an HTML page", INDEX),
    "an index without a map": Broken(sharded(holding(INDEX, b'{"weights": {}}')), "has no weight_map", INDEX),
    "an index that leads out": Broken(sharded(_index_with("../other.safetensors")), "no safetensors file of", INDEX),
    "an index of numbers": Broken(sharded(_index_with(3)), "no safetensors file of the folder", INDEX),
    "an index beside one file": Broken(
        sharded(lambda folder: shutil.copy(folder / SECOND, folder / SINGLE)), f"holds {SINGLE}, which is loaded", ""
    ),
    "no config": Broken(without("config.json"), "is missing: copy it", "config.json"),
    "a config that is a pointer": Broken(holding("config.json", POINTER), "is a Git LFS pointer", "config.json"),
    "a cut config": Broken(changed("config.json", lambda data: data[:20]), "cannot be read", "config.json"),
    "a config that is a list": Broken(holding("config.json", b"[1]"), "holds a list", "config.json"),
    "a config in UTF-16": Broken(
        changed("config.json", lambda data: data.decode().encode("utf-16")), "cannot be read", "config.json"
    ),
    "an empty config": Broken(holding("config.json", b""), "is empty", "config.json"),
    "a config of something else": Broken(holding("config.json", b'{"a": 1}'), "it has no model_type", "config.json"),
    "a folder as config": Broken(as_folder("config.json"), "is a folder, not a file", "config.json"),
    "a damaged generation config": Broken(
        holding("generation_config.json", b"{"), "cannot be read", "generation_config.json"
    ),
    "packed weights without a description": Broken(_packed_alone, "holds packed weights .*up_proj.qweight", ""),
    "GPTQ": Broken(_gptq, "quantize_config.json is of GPTQ, which is not supported", ""),
    "a half description of AWQ": Broken(_odd_awq, "has no whole numbers w_bit", "quant_config.json"),
}
"""Damages of config and weights."""

TOKENIZERS: Mapping[str, Broken] = {
    "no tokenizer": Broken(without("tokenizer.json"), "has no tokenizer: there is none of tokenizer.json", ""),
    "no tokenizer config": Broken(without("tokenizer_config.json"), "half a tokenizer: tokenizer_config.json is", ""),
    "half a vocabulary": Broken(_half_vocabulary, "half a tokenizer: vocab.json without merges.txt", ""),
    "a tokenizer that is no JSON": Broken(
        changed("tokenizer.json", lambda data: data[:-9]), "cannot be read", "tokenizer.json"
    ),
    "a tokenizer that is a pointer": Broken(
        holding("tokenizer.json", POINTER), "is a Git LFS pointer", "tokenizer.json"
    ),
    "a tokenizer without vocabulary": Broken(
        holding("tokenizer.json", json.dumps({"version": "1.0"}).encode()), "no vocabulary", "tokenizer.json"
    ),
    "a tokenizer config that is a page": Broken(
        holding("tokenizer_config.json", PAGE), "is an HTML page", "tokenizer_config.json"
    ),
}
"""Damages of the tokenizer."""

MODELS = {**WEIGHTS, **TOKENIZERS}

TENSORS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
ADAPTERS: Mapping[str, Broken] = {
    "a pointer": Broken(holding(TENSORS, POINTER), "is a Git LFS pointer", TENSORS),
    "a page": Broken(holding(TENSORS, PAGE), "is an HTML page", TENSORS),
    "cut": Broken(changed(TENSORS, lambda data: data[:-1]), "is cut short", TENSORS),
    "empty": Broken(holding(TENSORS, b""), "is empty", TENSORS),
    "a folder": Broken(as_folder(TENSORS), "is a folder, not a file", TENSORS),
    "pickled": Broken(
        lambda folder: (folder / TENSORS).rename(folder / "adapter_model.bin"), "holds pickled weights only", ""
    ),
    "without tensors": Broken(without(TENSORS), f"there is no adapter in .*without {TENSORS}", ""),
    "a config that is a pointer": Broken(holding(CONFIG, POINTER), "is a Git LFS pointer", CONFIG),
    "a config that is no JSON": Broken(holding(CONFIG, b"{"), "cannot be read", CONFIG),
}
"""Damages of an adapter."""
