"""Fine-tune a model on selected rows: low-rank adapters (LoRA, QLoRA), trained in the form in which it is asked.

Rows are ShopBench questions with answers, as `python -m tuning.select_data` writes them. Each becomes the package's own
prompt, and the loss is on its answer alone: on the order of the candidates' scores where the engine compares scores, on
the answer's tokens where it writes.
"""

import argparse
import json
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from evaluation.questions import QuestionRow, read_questions
from models.engines.local_folder import TextCoder
from models.engines.settings import EngineSettings, weights_folder
from models.settings import load_settings
from tuning.answer_trainer import AnswerTrainer, Rows
from tuning.base_model import adapted, load_base, save_adapter
from tuning.divergence import StopsWhereDiverged
from tuning.examples import Example, example
from tuning.finetune_recipe import FinetuneRecipe, engine_settings, read_recipe
from tuning.metrics_lines import MetricsLines
from tuning.processes import is_main, process_count, take_device
from tuning.run_folder import RunFolder
from tuning.training_arguments import training_arguments
from tuning.training_form import training_form
from tuning.unseen_rows import check_unseen
from utilities.errors import UserError, exit_code
from utilities.files import write_json
from utilities.fingerprint import fingerprint
from utilities.wheels import sha256

EXAMPLES = """\
examples:
  python -m tuning.finetune --recipe tuning/recipes/smollm2.yaml --rows selected/train_2000.jsonl \\
      --held-out selected/held_out.jsonl --output models/adapters/smollm2-2000
  accelerate launch --config_file tuning/recipes/fsdp_8_gpus.yaml -m tuning.finetune \\
      --recipe tuning/recipes/llama3_70b_6000.yaml --rows selected --base DIR --output adapters/llama3-70b-6000

Killed or stopped by Ctrl-C, the same command goes on from the last held-out score. What it needs for that lies beside
the output, in OUTPUT.partial, with metrics.jsonl, and goes when the output is finished.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Train by the options of the command line; 0 when the adapter is there."""
    options = _options(argv)
    recipe = read_recipe(options.recipe, **_given(options))
    engine = engine_settings(recipe)
    folder = options.base or weights_folder(engine)
    options.rows, options.held_out = _files(options, recipe)
    check_unseen(options.rows, options.held_out)
    rows, held_out = read_questions(options.rows), read_questions(options.held_out)[: recipe.held_out]
    run = RunFolder(options.output.absolute())
    record = _record(recipe, folder, options)
    with run.held(record):
        take_device()
        model, coder = load_base(recipe, folder)
        model, head = adapted(model, recipe)
        training = _examples(rows, coder, engine, recipe)
        lines = MetricsLines(run.metrics)
        trainer = AnswerTrainer(
            model,
            head,
            coder.pad,
            group_by_length=recipe.group_by_length,
            args=training_arguments(recipe, run.work, len(training)),
            train_dataset=Rows(training),
            eval_dataset=Rows(_examples(held_out, coder, engine, recipe)),
            callbacks=[StopsWhereDiverged(), lines],
        )
        lines.watch(trainer)
        trainer.train(resume_from_checkpoint=run.checkpoint())
        gathered = _gathered(trainer)
        if is_main():
            run.finish(lambda output: _save(trainer, gathered, output, record, run.metrics))
            print(f"{run.output}: finished")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tuning.finetune",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--recipe", type=Path, required=True, metavar="FILE", help="a YAML file, as in tuning/recipes")
    add("--rows", type=Path, required=True, metavar="PATH", help="training rows, or the folder of selected ones")
    add("--held-out", type=Path, metavar="FILE", help="rows that are never trained on (default: those of the folder)")
    add("--output", type=Path, required=True, metavar="DIR", help="the adapter's folder to make")
    add("--base", type=Path, metavar="DIR", help="the dense weights (default: those of the recipe's model)")
    add("--size", type=int, metavar="N", help="instead of the recipe's: train_N.jsonl of the folder is taken")
    add("--epochs", type=float, metavar="N", help="instead of the recipe's")
    add("--seed", type=int, metavar="N", help="instead of the recipe's")
    return parser.parse_args(argv)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("size", "epochs", "seed") if getattr(options, name) is not None}


def _files(options: argparse.Namespace, recipe: FinetuneRecipe) -> tuple[Path, Path]:
    """Return the files of the training rows and of the held-out ones."""
    folder = options.rows.is_dir()
    if folder and not recipe.size:
        raise UserError(f"--rows {options.rows} is a folder: say by --size which train_N.jsonl of it is meant")
    if not folder and options.size is not None:
        raise UserError(f"--rows {options.rows} is a file, of which all rows are taken: leave --size out")
    if not folder and options.held_out is None:
        raise UserError("--held-out is missing: name a file of rows that are not trained on")
    rows = options.rows / f"train_{recipe.size}.jsonl" if folder else options.rows
    return rows, options.held_out or options.rows / "held_out.jsonl"


def _examples(
    rows: Sequence[QuestionRow], coder: TextCoder, engine: EngineSettings, recipe: FinetuneRecipe
) -> list[Example]:
    """Return the rows as the model is trained on them; what cannot be used is told on stderr.

    Raises:
        UserError: none can be used.
    """
    prompts = load_settings().prompts
    made: list[Example] = []
    refused: Counter[str] = Counter()
    for index, row in enumerate(rows):
        form = training_form(row, prompts)
        if isinstance(form, str):
            refused[form] += 1
        else:
            made.append(example(coder, form, engine, recipe.limits, f"{recipe.seed} {index}"))
    for reason, count in refused.most_common() if is_main() else ():
        print(f"{count} of {len(rows)} rows left out: {reason}", file=sys.stderr)
    if not made:
        raise UserError("no row can be trained on: select others by `python -m tuning.select_data`")
    return made


def _record(recipe: FinetuneRecipe, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return all that the result depends on."""
    return {
        "recipe": asdict(recipe),
        "base": folder.name,
        "base_fingerprint": fingerprint(folder) if (folder / "config.json").is_file() else "",
        "rows": {"file": options.rows.name, "sha256": sha256(options.rows)},
        "held_out": {"file": options.held_out.name, "sha256": sha256(options.held_out)},
        "prompts": json.loads(json.dumps(asdict(load_settings().prompts))),
        "processes": process_count(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }


def _gathered(trainer: AnswerTrainer) -> dict[str, torch.Tensor]:
    """Return what was trained; all processes take part in gathering what is spread over them."""
    trainer.accelerator.wait_for_everyone()
    model: Any = trainer.model
    trained = ((name, each) for name, each in model.named_parameters() if each.requires_grad)
    return {name: each.full_tensor() if isinstance(each, DTensor) else each for name, each in trained}


def _save(
    trainer: AnswerTrainer, gathered: dict[str, torch.Tensor], output: Path, record: dict[str, Any], metrics: Path
) -> None:
    save_adapter(trainer.model, output, record["recipe"]["model"], gathered)
    shutil.copyfile(metrics, output / "metrics.jsonl")
    state = trainer.state
    kept = state.best_model_checkpoint
    chosen = {"steps": state.global_step, "kept_step": int(kept.rpartition("-")[2]) if kept else state.global_step}
    write_json(output / "training.json", {**record, **chosen, "tokens": trainer.tokens_seen})


if __name__ == "__main__":
    sys.exit(exit_code(main))
