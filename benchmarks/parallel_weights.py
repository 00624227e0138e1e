"""Cosines between weights before and after an adapter; where weights are nearly parallel, SLERP is an average."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import Results, conditions, make_parser, model_folder
from models.engines.settings import adapter_folders
from models.settings import load_settings
from tuning.merging.adapter_mixing import check_adapters_base
from tuning.merging.checkpoint import Checkpoint
from tuning.merging.methods import LINEAR
from tuning.model_files import read_adapter
from utilities.errors import UserError, exit_code
from utilities.fingerprint import fingerprint, sha256
from utilities.printed_tables import print_table

EXAMPLES = """\
  python -m benchmarks.parallel_weights                              the default model and its adapter
  python -m benchmarks.parallel_weights --base DIR --adapter DIR
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Compare by the options of the command line; print a table and return 0."""
    options = _options(argv)
    engine = load_settings().engine
    base = options.base or model_folder(engine)
    adapter = options.adapter or adapter_folders(engine)[engine.adapter]
    if adapter is None:
        raise UserError("the model in use has no adapter: name one by --adapter")
    found = cosines(base, adapter)
    summary = {
        "tensors": len(found),
        "smallest": min(found.values()),
        "above_threshold": sum(value > LINEAR for value in found.values()),
    }
    inputs = {"base": fingerprint(base), "adapter": sha256(adapter / "adapter_model.safetensors")}
    Results(options.results, conditions(1, None), fresh=True).finish({**inputs, **summary, "cosines": found})
    line = [str(len(found)), f"{summary['smallest']:.6f}", f"{summary['above_threshold']} (above {LINEAR})"]
    print_table(["base and tuned", "tensors", "smallest cosine", "averaged by SLERP"], [[adapter.name, *line]])
    return 0


def cosines(base: Path, adapter: Path) -> dict[str, float]:
    """Return, by module, the cosine between each changed tensor before and after, flattened to vectors.

    Raises:
        UserError: a file cannot be read, or the adapter belongs to another base.
    """
    check_adapters_base(base, [adapter])
    found = {}
    checkpoint = Checkpoint(base)
    for module, change in read_adapter(adapter).items():
        before = checkpoint.read(f"{module}.weight").double().flatten()
        after = before + change.delta(torch.device("cpu")).double().flatten()
        found[module] = float(torch.nn.functional.cosine_similarity(before, after, dim=0))
    return found


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("parallel_weights", __doc__, EXAMPLES)
    parser.add_argument("--base", type=Path, metavar="DIR", help="dense weights (default: those of the settings)")
    parser.add_argument("--adapter", type=Path, metavar="DIR", help="a LoRA adapter (default: that of the settings)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(exit_code(main))
