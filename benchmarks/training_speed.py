"""Training speed: losses on answers alone in batches of like length, against the trainer as it comes, in turns.

Both train the same rows in the same written form, with the same adapters, batch and number of steps; the plain trainer
computes the loss, and so the vocabulary's logits, of every token. A row's tokens are counted without padding.
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.common import (
    Json,
    Results,
    add_threads,
    conditions,
    make_parser,
    model_folder,
    print_table,
    set_threads,
    shown,
)
from benchmarks.plain_trainer import Chats, plain_trainer
from evaluation.questions import read_questions
from models.engines.local_folder import TextCoder
from models.settings import load_settings
from tuning.answer_trainer import AnswerTrainer
from tuning.examples import example
from tuning.finetune_recipe import FinetuneRecipe, engine_settings, read_recipe, training_arguments
from tuning.lora_model import adapted, load_base
from tuning.training_form import TrainingForm, training_form
from utilities.errors import exit_code
from utilities.fingerprint import fingerprint
from utilities.options import positive
from utilities.wheels import sha256

EXAMPLES = """\
  python -m benchmarks.training_speed --rows data/development.json
  python -m benchmarks.training_speed --rows selected/train_2000.jsonl --limit 128 --repeats 5
"""
RECIPE = Path(__file__).parent.parent / "tuning" / "recipes" / "smollm2.yaml"
Forms = Sequence[TrainingForm]
WAYS = ("plain", "answers")
FIGURES = {
    "tokens_per_second": "tokens a second",
    "rows_per_second": "rows a second",
    "peak_megabytes": "peak memory, MB",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = _options(argv)
    recipe = read_recipe(options.recipe)
    folder = model_folder(engine_settings(recipe))
    results = Results(options.results, conditions(set_threads(options.threads), None), fresh=options.fresh)
    inputs = {"limit": options.limit, "repeats": options.repeats, "threads": options.threads}
    identity = {**inputs, "rows": sha256(options.rows), "recipe": repr(recipe), "weights": fingerprint(folder)}
    report = results.part(identity, lambda: in_turns(options, recipe, folder))
    results.finish({"rows": options.rows.name, **inputs, **report})
    _print(report)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("training_speed", __doc__, EXAMPLES)
    add_threads(parser)
    add = parser.add_argument
    add("--rows", type=Path, required=True, metavar="FILE", help="rows with answers, JSON Lines")
    add("--recipe", type=Path, default=RECIPE, metavar="FILE", help="default: tuning/recipes/smollm2.yaml")
    add("--limit", type=positive, default=64, metavar="N", help="rows, spread over the file (default: %(default)s)")
    add("--repeats", type=positive, default=3, metavar="N", help="turns of each; medians count (default: %(default)s)")
    return parser.parse_args(argv)


def _print(report: Json) -> None:
    ratio = report["ratio"]
    print_table(
        ["", "every token", "answers alone", "ratio"],
        [
            [words, *(shown(report[way][name]) for way in WAYS), shown(ratio[name], 2)]
            for name, words in FIGURES.items()
        ],
    )


def in_turns(options: argparse.Namespace, recipe: FinetuneRecipe, folder: Path) -> Json:
    """Return the medians of both ways and, for each figure, answers alone over every token."""
    found: dict[str, list[Json]] = {way: [] for way in WAYS}
    for _ in tqdm(range(options.repeats), desc="turns", unit="turn"):
        for way in WAYS:
            # A process each, so that its peak memory is its own.
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                task = process.submit(measure, way, options.rows, options.limit, recipe, folder, options.threads)
                found[way].append(task.result())
    medians = {way: {name: statistics.median(turn[name] for turn in found[way]) for name in FIGURES} for way in WAYS}
    return {**medians, "ratio": {name: medians["answers"][name] / medians["plain"][name] for name in FIGURES}}


def measure(way: str, rows: Path, limit: int, recipe: FinetuneRecipe, folder: Path, threads: int) -> Json:
    """Train once over the rows and return tokens and rows a second and the process's peak memory."""
    set_threads(threads)
    forms = [
        form
        for row in read_questions(rows)
        if isinstance(form := training_form(row, load_settings().prompts), TrainingForm)
    ]
    forms = forms[:: max(1, len(forms) // limit)][:limit]
    model, coder = load_base(recipe, folder)
    model, head = adapted(model, recipe)
    with tempfile.TemporaryDirectory() as work:
        arguments = training_arguments(recipe, Path(work), len(forms))
        arguments.eval_strategy, arguments.eval_on_start, arguments.save_strategy = "no", False, "no"
        arguments.load_best_model_at_end = False
        make = _plain if way == "plain" else _answers
        trainer, tokens = make(model, head, coder, forms, recipe, arguments)
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    return {
        "tokens_per_second": tokens / seconds,
        "rows_per_second": len(forms) / seconds,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def _plain(
    model: Any, _: Any, coder: TextCoder, forms: Forms, recipe: FinetuneRecipe, arguments: Any
) -> tuple[Any, int]:
    chats = Chats(forms, coder, recipe.limits)
    return plain_trainer(model, chats, coder.pad, arguments), sum(map(len, chats.rows))


def _answers(
    model: Any, head: Any, coder: TextCoder, forms: Forms, recipe: FinetuneRecipe, arguments: Any
) -> tuple[Any, int]:
    written = replace(engine_settings(recipe), choice="label", selection="label", spans="write")
    made = [example(coder, form, written, recipe.limits, str(index)) for index, form in enumerate(forms)]
    trainer = AnswerTrainer(model, head, coder.pad, group_by_length=True, args=arguments, train_dataset=made)
    return trainer, sum(each.length for each in made)


if __name__ == "__main__":
    sys.exit(exit_code(main))
