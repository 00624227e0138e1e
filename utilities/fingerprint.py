"""SHA-256 of files, and fingerprints of weights, which take seconds for 40 GB."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from utilities.errors import UserError

_SAMPLES, _BLOCK = 64, 4096


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_record(path: Path) -> dict[str, str]:
    """Return the name and the SHA-256 of a file, for the record of a result that was made from it."""
    return {"file": path.name, "sha256": sha256(path)}


def fingerprint(folder: Path) -> str:
    """Return a SHA-256 over config.json and, of every weight file, its size, its header and 64 blocks of 4 KiB.

    The header of a safetensors file lists names, shapes and offsets of all tensors; it differs between models and
    quantisations. The blocks, spread evenly over the tensors, differ between a tuned model and its base, whose headers
    are equal. `python -m models.engines.weights verify` also finds a single changed number.
    """
    digest = hashlib.sha256(_content(folder / "config.json"))
    for path in sorted(folder.glob("*.safetensors")):
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            # A file of another kind may begin with any number.
            header = min(int.from_bytes(file.read(8), "little"), size)
            digest.update(f"{path.name} {size}".encode() + file.read(min(header, 1 << 26)))
            first, last = 8 + header, size - _BLOCK
            for sample in range(_SAMPLES):
                file.seek(max(first + (last - first) * sample // (_SAMPLES - 1), 0))
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): copy the file again") from None


def _content(path: Path) -> bytes:
    with _opened(path) as file:
        return file.read()


def fingerprint_of_adapter(folder: Path) -> str:
    """Return a SHA-256 over all bytes of a LoRA adapter: its config and its matrices."""
    digest = hashlib.sha256(_content(folder / "adapter_config.json"))
    with _opened(folder / "adapter_model.safetensors") as file:
        hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def fingerprints_of_adapters(folders: Mapping[str, Path | None]) -> dict[str, str]:
    """Return the fingerprint of each adapter by its name; None means no adapter."""
    return {name: fingerprint_of_adapter(folder) for name, folder in folders.items() if folder}


def fingerprint_of_both(folder: Path, adapter: Path | None) -> str:
    """Return the fingerprint of a model with an adapter; of the model alone if there is no adapter."""
    if adapter is None:
        return fingerprint(folder)
    return hashlib.sha256((fingerprint(folder) + fingerprint_of_adapter(adapter)).encode()).hexdigest()
