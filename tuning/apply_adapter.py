"""Put an adapter into its base's weights: a dense folder, to be quantised, hybridised or run without the adapter."""

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from tqdm import tqdm

from models.engines.adapter_config import TENSORS
from models.engines.lora import Change, read_matrices
from tuning.merging.adapters import check_finite
from tuning.merging.checkpoint import finite, weight_files
from tuning.merging.folder import new_folder, write_tensors
from utilities.errors import UserError, exit_code
from utilities.weights import holds_model, missing_weights_message

EXAMPLES = """\
examples:
  python -m tuning.apply_adapter --base models/weights/smollm2-135m-instruct --adapter models/adapters/smollm2-2000 \\
      --output models/weights/smollm2-2000
"""
_WEIGHT = ".weight"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder by the options of the command line; return 0."""
    options = _options(argv)
    base, output = options.base, options.output.absolute()
    if not holds_model(base):
        raise UserError(missing_weights_message(base))
    changes = dict(read_matrices(options.adapter))
    check_finite(options.adapter, changes)
    with new_folder(output) as work:
        apply(base, changes, work)
        if changes:
            raise UserError(
                f"{options.adapter / TENSORS} changes {min(changes)}, which {base} lacks: name its own base"
            )
    print(f"{output}: finished")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tuning.apply_adapter",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", type=Path, required=True, metavar="DIR", help="the dense model")
    parser.add_argument("--adapter", type=Path, required=True, metavar="DIR", help="a LoRA adapter in peft's layout")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder to make")
    return parser.parse_args(argv)


def apply(base: Path, changes: dict[str, Change], output: Path) -> None:
    """Copy `base` to the folder `output`, a file at a time, and take each change that a tensor gets out of `changes`.

    Raises:
        UserError: a tensor file is missing or damaged, or a change has another shape than its tensor.
        OSError: a file cannot be written.
    """
    files = weight_files(base)
    for path in sorted(base.iterdir()):
        if path.is_file() and path.suffix != ".safetensors":
            shutil.copyfile(path, output / path.name)
    for path in tqdm(files, desc="applying", unit="file"):
        _apply_to_file(path, changes, output / path.name)


def _apply_to_file(path: Path, changes: dict[str, Change], output: Path) -> None:
    tensors: dict[str, torch.Tensor] = {}
    try:
        with safe_open(path, "pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {"format": "pt"}
            for name in file.keys():  # noqa: SIM118 - no mapping
                tensors[name] = _changed(path, name, file.get_tensor(name), changes)
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({' '.join(str(error).split())}): fetch it again") from error
    write_tensors(output, tensors, metadata)


def _changed(path: Path, name: str, tensor: torch.Tensor, changes: dict[str, Change]) -> torch.Tensor:
    change = changes.pop(name.removesuffix(_WEIGHT), None)
    if change is None:
        return tensor
    delta = change.delta(tensor.device)
    if delta.shape != tensor.shape:
        raise UserError(
            f"{path}: {name} is {tuple(tensor.shape)} and its change {tuple(delta.shape)}: name its own base"
        )
    result = (tensor.float() + delta).to(tensor.dtype)
    if not finite(result):
        raise UserError(f"{path}: {name} and its change make values that {tensor.dtype} cannot hold: check both")
    return result


if __name__ == "__main__":
    sys.exit(exit_code(main))
