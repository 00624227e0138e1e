"""Apply an adapter to its base's weights: a dense folder, to be quantised, hybridised or run without the adapter."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from models.engines.adapter_config import TENSORS, check_adapter
from models.engines.adapter_matrices import Change
from models.engines.weights_folder import check_model
from tuning.merging.checkpoint import Checkpoint
from tuning.model_files import read_adapter, write_tensors
from tuning.output_folder import new_folder
from utilities.errors import UserError, exit_code
from utilities.options import command_parser

EXAMPLES = """\
examples:
  python -m tuning.apply_adapter --base models/weights/smollm2-135m-instruct --adapter models/adapters/smollm2-2000 \\
      --output models/weights/smollm2-2000
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder by the options of the command line; return 0."""
    options = _options(argv)
    base, output = options.base, options.output.absolute()
    check_model(base, named_by="--base")
    check_adapter(options.adapter, "name another folder by --adapter")
    changes = dict(read_adapter(options.adapter))
    with new_folder(output) as work:
        apply(base, changes, work)
        if changes:
            raise UserError(
                f"{options.adapter / TENSORS} changes {min(changes)}, which {base} lacks: name the base of the adapter"
            )
    print(f"{output}: finished")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m tuning.apply_adapter", __doc__, EXAMPLES)
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="the dense model")
    parser.add_argument("--adapter", type=Path, required=True, metavar="DIR", help="a LoRA adapter in peft's layout")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder to make")
    return parser.parse_args(argv)


def apply(base: Path, changes: dict[str, Change], output: Path) -> None:
    """Copy `base` to the folder `output`, a file at a time; each applied change is removed from `changes`.

    Raises:
        UserError: a file of the base is missing, damaged or left over, a number in it is not finite, or a change has
            another shape than its tensor.
        OSError: a file cannot be written.
    """
    checkpoint = Checkpoint(base)
    for path in sorted(base.iterdir()):
        if path.is_file() and path.suffix != ".safetensors":
            shutil.copyfile(path, output / path.name)
    files: dict[Path, list[str]] = {}
    for name, path in checkpoint.paths.items():
        files.setdefault(path, []).append(name)
    for path, names in tqdm(files.items(), desc="applying", unit="file"):
        tensors = {name: _changed(path, name, checkpoint.read(name), changes) for name in names}
        write_tensors(output / path.name, tensors)


def _changed(path: Path, name: str, tensor: torch.Tensor, changes: dict[str, Change]) -> torch.Tensor:
    change = changes.pop(name.removesuffix(".weight"), None)
    if change is None:
        return tensor
    delta = change.delta(tensor.device)
    if delta.shape != tensor.shape:
        raise UserError(
            f"{path}: {name} is {tuple(tensor.shape)} and its change {tuple(delta.shape)}: name the base of the adapter"
        )
    return (tensor.float() + delta).to(tensor.dtype)


if __name__ == "__main__":
    sys.exit(exit_code(main))
