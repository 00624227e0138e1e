"""A result's folder: made beside its place, put there when finished, filled with the first parent's own files."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from utilities.errors import UserError

_METADATA: Mapping[str, str] = MappingProxyType({"format": "pt"})
_COPIED = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "LICENSE*",
    "NOTICE*",
)


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Yield an empty folder beside `output`; on success it becomes `output`, on failure it is removed.

    Raises:
        UserError: the output exists, or the disk cannot be written to.
    """
    if output.exists():
        raise UserError(f"--output {output} exists: move it away or name another folder")
    work = output.with_name(f".{output.name}.partial")
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        yield work
        work.rename(output)
    except OSError as error:
        raise UserError(f"{output}: {error.strerror or error}: make room or name another --output") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def copy_files(parent: Path, folder: Path) -> None:
    """Copy what a model folder has beside weights: config, tokenizer, chat template."""
    for pattern in _COPIED:
        for path in parent.glob(pattern):
            shutil.copyfile(path, folder / path.name)


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] = _METADATA) -> None:
    """Write a safetensors file that everyone may read.

    Raises:
        OSError: the disk cannot be written to.
    """
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata=dict(metadata))
    except SafetensorError as error:
        raise OSError(" ".join(str(error).split())) from error
    path.chmod(0o644)  # safetensors writes for its owner alone
