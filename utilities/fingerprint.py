"""What identifies the weights in a folder, cheaply enough for 40 GB of them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path


def fingerprint(folder: Path) -> str:
    """Return a SHA-256 over every weight file's header and size, and over config.json.

    A safetensors file begins with its header: names, shapes and places of all tensors. Reading that and no tensor
    tells models and their quantisations apart; a tampered tensor is found by `python -m utilities.weights verify`.
    """
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            digest.update(f"{path.name} {path.stat().st_size}".encode() + file.read(min(size, 1 << 26)))
    return digest.hexdigest()


def fingerprint_of_adapter(folder: Path) -> str:
    """Return a SHA-256 over a LoRA adapter: its config and its matrices, which are small enough to be read whole."""
    digest = hashlib.sha256((folder / "adapter_config.json").read_bytes())
    with (folder / "adapter_model.safetensors").open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fingerprints_of_adapters(folders: Mapping[str, Path | None]) -> dict[str, str]:
    """Return each adapter's fingerprint by its name; None stands for no adapter and is left out."""
    return {name: fingerprint_of_adapter(folder) for name, folder in folders.items() if folder}


def fingerprint_of_both(folder: Path, adapter: Path | None) -> str:
    """Return what identifies a model that an adapter, or None, is put on; without one it is the model's own."""
    if adapter is None:
        return fingerprint(folder)
    return hashlib.sha256((fingerprint(folder) + fingerprint_of_adapter(adapter)).encode()).hexdigest()
