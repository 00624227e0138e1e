"""What identifies the weights in a folder, cheaply enough for 40 GB of them."""

import hashlib
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
