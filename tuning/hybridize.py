"""Hybridise models: one child from two or more parents, from full weights or from LoRA adapters.

Full weights are folders in Hugging Face layout with safetensors files, mixed one tensor at a time. Adapters are folders
in peft's layout, trained on one base; their changes of its weights are mixed. --base is the model that the parents were
tuned from. A single parent is mixed with the base, which comes first. Several parents are only checked to fit it, and
wise_ft, which goes from the base to one parent, refuses them. The recipe and the parents' fingerprints are written to
hybrid.json in the child's folder.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.engines.adapter_config import CONFIG, TENSORS, check_adapter
from models.engines.weights_folder import check_model, check_weights
from tuning.merging.adapter_mixing import check_adapters_base, mix_adapters
from tuning.merging.full_weights import check_full_base, mix_full_weights
from tuning.merging.registry import Recipe, check_models, read_recipe
from tuning.output_folder import new_folder
from utilities.errors import UserError, exit_code
from utilities.files import write_json
from utilities.fingerprint import fingerprint, fingerprint_of_adapter
from utilities.options import command_parser

EXAMPLES = """\
examples:
  python -m tuning.hybridize --recipe tuning/recipes/hybridize_gradient_slerp.yaml \\
      --parents models/weights/llama3-20000 models/weights/llama3-101275 --output models/weights/llama3-child
  python -m tuning.hybridize --recipe tuning/recipes/hybridize_gradient_slerp.yaml --rank 16 \\
      --parents models/adapters/smollm2-2000 adapters/smollm2-10000 --output adapters/smollm2-child
  python -m tuning.hybridize --recipe tuning/recipes/hybridize_wise_ft.yaml \\
      --base models/weights/smollm2-135m-instruct --parents models/adapters/smollm2-2000 --output adapters/wise
  python -m tuning.hybridize --recipe tuning/recipes/hybridize_linear.yaml --parents A B C --output average
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Mix by the options of the command line; return 0 when the child is written."""
    options = _options(argv)
    recipe = read_recipe(options.recipe, options.rank)
    parents, base = options.parents, options.base
    mixed = [base, *parents] if base and len(parents) == 1 else parents
    check_models(recipe, options.recipe, mixed, base)
    _check_folders(parents, base)
    adapters = _are_adapters(parents)
    if base and base not in mixed:
        (check_adapters_base if adapters else check_full_base)(base, parents)
    if recipe.rank and not adapters:
        raise UserError(f"rank is {recipe.rank} and full weights have none: set it for adapters alone")
    output = options.output.absolute()
    with new_folder(output) as work:
        if adapters:
            result = _mix_adapters(recipe, mixed, work)
        else:
            result = mix_full_weights(recipe.method, mixed, parents[0], work)
        write_json(work / "hybrid.json", {**_record(recipe, mixed), **result})
    kept = f", rank {result['rank']}, {result['norm_kept']:.2%} of the norm kept" if adapters else ""
    print(f"{output}: finished{kept}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m tuning.hybridize", __doc__, EXAMPLES)
    add = parser.add_argument
    add("--recipe", type=Path, required=True, metavar="FILE", help="a YAML file, as tuning/recipes/hybridize_*.yaml")
    add("--parents", type=Path, nargs="+", required=True, metavar="DIR", help="models to mix, in the recipe's order")
    add("--base", type=Path, metavar="DIR", help="the model that the parents were tuned from")
    add("--output", type=Path, required=True, metavar="DIR", help="the folder to make")
    add("--rank", type=int, metavar="N", help="rank of a mixed adapter (default: the recipe's)")
    return parser.parse_args(argv)


def _are_adapters(parents: Sequence[Path]) -> bool:
    """Return whether the parents are adapters, not full weights."""
    named = {_is_adapter(parent): parent for parent in parents}
    if len(named) > 1:
        raise UserError(
            f"{named[True]} is an adapter and {named[False]} has full weights: apply the adapter to its base by "
            "`python -m tuning.apply_adapter`, or name the full weights by --base if they are its base"
        )
    return True in named


def _is_adapter(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (CONFIG, TENSORS))


def _check_folders(parents: Sequence[Path], base: Path | None) -> None:
    """Check the files of all models; the child takes its tokenizer from the first parent, so others need none."""
    named = [(folder, "--base") for folder in (base,) if folder] + [(folder, "--parents") for folder in parents]
    for folder, option in named:
        if _is_adapter(folder):
            check_adapter(folder, f"name another folder by {option}")
        elif not any(True for pattern in ("config.json", "*.safetensors*") for _ in folder.glob(pattern)):
            raise UserError(f"{folder} holds neither {CONFIG} nor config.json: name an adapter or a model by {option}")
        else:
            (check_model if folder == parents[0] else check_weights)(folder)


def _mix_adapters(recipe: Recipe, mixed: Sequence[Path], output: Path) -> dict[str, Any]:
    dense = next((folder for folder in mixed if not _is_adapter(folder)), None)
    adapters = [folder for folder in mixed if folder != dense]
    if dense:
        check_adapters_base(dense, adapters)
    models = [None if folder == dense else folder for folder in mixed]
    return mix_adapters(recipe.method, models, recipe.rank, output)


def _record(recipe: Recipe, mixed: Sequence[Path]) -> dict[str, Any]:
    """Return the recipe and the mixed models, in the order of its shares."""
    fingerprints = [(fingerprint_of_adapter if _is_adapter(each) else fingerprint)(each) for each in mixed]
    named = zip(mixed, fingerprints, strict=True)
    return {
        "recipe": {"method": recipe.name, **vars(recipe.method), "rank": recipe.rank},
        "mixed": [{"name": folder.name, "fingerprint": found} for folder, found in named],
        "versions": {"torch": version("torch")},
    }


if __name__ == "__main__":
    sys.exit(exit_code(main))
