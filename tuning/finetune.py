"""Fine-tune a model on selected rows: low-rank adapters (LoRA, QLoRA), trained on the prompts that the package asks.

Rows are ShopBench questions with answers, as `python -m tuning.select_data` writes them. Each becomes the package's own
prompt, and the loss is on its answer alone: on the order of the candidates' scores if the engine compares scores, on
the answer's tokens if it writes.
"""

import argparse
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.distributed.tensor import DTensor

from evaluation.questions import QuestionRow, read_questions
from models.engines.answering.tokens import TextCoder
from models.engines.model_registry import model_entry
from models.engines.settings import EngineSettings, weights_folder
from models.engines.weights_folder import check_model
from models.settings import load_settings
from tuning.examples import Example, example
from tuning.finetune_recipe import FinetuneRecipe, engine_settings, read_recipe, training_arguments
from tuning.launcher import is_main, process_count, take_device
from tuning.output_folder import RunFolder, disk_errors_reported
from tuning.selection.question_text import folded
from tuning.training_form import training_form
from utilities.errors import UserError, exit_code
from utilities.files import write_json
from utilities.fingerprint import file_record, fingerprint
from utilities.options import command_parser

if TYPE_CHECKING:
    from tuning.answer_trainer import AnswerTrainer

EXAMPLES = """\
examples:
  python -m tuning.finetune --recipe tuning/recipes/smollm2.yaml --rows selected/train_2000.jsonl \\
      --held-out selected/held_out.jsonl --output models/adapters/smollm2-2000
  accelerate launch --config_file tuning/recipes/fsdp_8_gpus.yaml -m tuning.finetune --rows selected --size 6000 \\
      --recipe tuning/recipes/llama3_70b_qlora.yaml --base DIR --output adapters/llama3-70b-6000

Killed or stopped by Ctrl-C, the same command resumes from the last evaluation. Its files for that lie beside the output
in OUTPUT.partial, with metrics.jsonl, and are removed when the output is finished.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Train by the options of the command line; return 0 when the adapter is written."""
    options = _options(argv)
    recipe = read_recipe(options.recipe, **_given(options))
    engine = engine_settings(recipe)
    folder = options.base or weights_folder(engine)
    check_model(folder, model_entry(recipe.model).source, "--base")
    options.rows, options.held_out = _files(options, recipe)
    rows, held_out = read_questions(options.rows), read_questions(options.held_out)
    _check_unseen(rows, held_out, options)
    run = RunFolder(options.output.absolute(), lambda work: last_checkpoint(work) is not None)
    record = _record(recipe, folder, options)
    # Imported here, where the lines that transformers and peft print at their import go to the log file.
    from tuning.answer_trainer import AnswerTrainer, RunMonitor
    from tuning.lora_model import adapted, load_base

    with disk_errors_reported(run.work), run.held(record) if is_main() else nullcontext():
        take_device()
        model, coder = load_base(recipe, folder)
        model, head = adapted(model, recipe)
        training = _examples(rows, coder, engine, recipe)
        trainer = AnswerTrainer(
            model,
            head,
            coder.pad,
            group_by_length=recipe.group_by_length,
            args=training_arguments(recipe, run.work, len(training)),
            train_dataset=training,
            eval_dataset=_examples(held_out[: recipe.held_out], coder, engine, recipe),
        )
        trainer.add_callback(RunMonitor(run.work / "metrics.jsonl", trainer))
        trainer.train(resume_from_checkpoint=last_checkpoint(run.work))
        gathered = _gathered(trainer)
        if is_main():
            run.finish(lambda output: _save(trainer, gathered, output, record, run.work / "metrics.jsonl"))
            print(f"{run.output}: finished")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m tuning.finetune", __doc__, EXAMPLES)
    add = parser.add_argument
    add("--recipe", type=Path, required=True, metavar="FILE", help="a YAML file, as in tuning/recipes")
    add("--rows", type=Path, required=True, metavar="PATH", help="training rows, or the folder of selected ones")
    add("--held-out", type=Path, metavar="FILE", help="rows that are never trained on (default: those of the folder)")
    add("--output", type=Path, required=True, metavar="DIR", help="the adapter's folder to make")
    add("--base", type=Path, metavar="DIR", help="the dense weights (default: those of the recipe's model)")
    add("--size", type=int, metavar="N", help="train on train_N.jsonl of the folder (default: the recipe's size)")
    add("--epochs", type=float, metavar="N", help="default: the recipe's")
    add("--seed", type=int, metavar="N", help="default: the recipe's")
    return parser.parse_args(argv)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("size", "epochs", "seed") if getattr(options, name) is not None}


def _files(options: argparse.Namespace, recipe: FinetuneRecipe) -> tuple[Path, Path]:
    """Return the files of the training rows and of the held-out ones."""
    folder = options.rows.is_dir()
    if folder and not recipe.size:
        raise UserError(f"--rows {options.rows} is a folder: choose a train_N.jsonl in it by --size N")
    if not folder and options.size is not None:
        raise UserError(f"--rows {options.rows} is a file, whose rows are all used: remove --size")
    if not folder and options.held_out is None:
        raise UserError("--held-out is missing: name a file of rows that are not trained on")
    rows = options.rows / f"train_{recipe.size}.jsonl" if folder else options.rows
    return rows, options.held_out or options.rows / "held_out.jsonl"


def _check_unseen(rows: Sequence[QuestionRow], held_out: Sequence[QuestionRow], options: argparse.Namespace) -> None:
    """Refuse training rows that have the words of a held-out row."""
    unseen = {folded(row.input_field) for row in held_out}
    places = [number for number, row in enumerate(rows, start=1) if folded(row.input_field) in unseen]
    if places:
        raise UserError(
            f"{options.rows}: {len(places)} rows, the first of them row {places[0]}, are held out too in "
            f"{options.held_out}: use files of one selection by `python -m tuning.select_data`"
        )


def _examples(
    rows: Sequence[QuestionRow], coder: TextCoder, engine: EngineSettings, recipe: FinetuneRecipe
) -> list[Example]:
    """Return the rows as training examples, and report those that cannot be used on stderr."""
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


def last_checkpoint(work: Path) -> str | None:
    """Return the newest complete checkpoint in a work folder."""
    whole = [path.parent for path in work.glob("checkpoint-*/trainer_state.json")]
    return str(max(whole, key=_step)) if whole else None


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _record(recipe: FinetuneRecipe, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return everything that the result depends on."""
    return {
        "recipe": asdict(recipe),
        "base": folder.name,
        "base_fingerprint": fingerprint(folder),
        "rows": file_record(options.rows),
        "held_out": file_record(options.held_out),
        "prompts": asdict(load_settings().prompts),
        "processes": process_count(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
    }


def _gathered(trainer: "AnswerTrainer") -> dict[str, torch.Tensor]:
    """Return the trained tensors; all processes take part in gathering sharded ones."""
    trainer.accelerator.wait_for_everyone()
    model: Any = trainer.model
    trained = ((name, each) for name, each in model.named_parameters() if each.requires_grad)
    return {name: each.full_tensor() if isinstance(each, DTensor) else each for name, each in trained}


def _save(
    trainer: "AnswerTrainer", gathered: dict[str, torch.Tensor], output: Path, record: dict[str, Any], metrics: Path
) -> None:
    from tuning.lora_model import save_adapter

    save_adapter(trainer.model, output, record["recipe"]["model"], gathered)
    shutil.copyfile(metrics, output / "metrics.jsonl")
    steps, kept = trainer.state.global_step, trainer.state.best_model_checkpoint
    chosen = {"steps": steps, "kept_step": _step(Path(kept)) if kept else steps}
    write_json(output / "training.json", {**record, **chosen, "tokens": trainer.tokens_seen})


if __name__ == "__main__":
    sys.exit(exit_code(main))
