"""Training speed, measured in turns: losses on answer tokens alone in batches of similar length, or a plain trainer.

Both train the same rows in the same written form, with the same adapters, batch size and number of steps. The plain
trainer computes the loss of every token of the chat, in padded batches of random order. Padding tokens do not count.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import Json, in_turns, make_parser, model_folder, open_results, print_turns, set_threads
from evaluation.questions import read_questions
from models.engines.answering.tokens import TextCoder, question_tokens
from models.settings import load_settings
from tuning.examples import example
from tuning.finetune_recipe import FinetuneRecipe, engine_settings, read_recipe, training_arguments
from tuning.training_form import TrainingForm, training_form
from utilities.errors import exit_code
from utilities.fingerprint import fingerprint, sha256
from utilities.options import positive

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
_NO_LOSS = -100


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = _options(argv)
    recipe = read_recipe(options.recipe)
    folder = model_folder(engine_settings(recipe))
    results = open_results(options)
    inputs = {"limit": options.limit, "repeats": options.repeats, "threads": options.threads}
    identity = {**inputs, "rows": sha256(options.rows), "recipe": repr(recipe), "weights": fingerprint(folder)}
    measure_way = partial(
        measure, rows=options.rows, limit=options.limit, recipe=recipe, folder=folder, threads=options.threads
    )
    report = results.part(identity, lambda: in_turns(WAYS, options.repeats, measure_way))
    results.finish({"rows": options.rows.name, **inputs, **report})
    print_turns(report, FIGURES, ["every token", "answers alone", "ratio"])
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("training_speed", __doc__, EXAMPLES, threads=True)
    add = parser.add_argument
    add("--rows", type=Path, required=True, metavar="FILE", help="rows with answers, JSON Lines")
    add("--recipe", type=Path, default=RECIPE, metavar="FILE", help="default: tuning/recipes/smollm2.yaml")
    add("--limit", type=positive, default=64, metavar="N", help="rows, spread over the file (default: %(default)s)")
    add("--repeats", type=positive, default=3, metavar="N", help="turns of each way (default: %(default)s)")
    return parser.parse_args(argv)


def measure(way: str, rows: Path, limit: int, recipe: FinetuneRecipe, folder: Path, threads: int | None) -> Json:
    """Train once on the rows; return tokens and rows per second and the peak memory of the process."""
    set_threads(threads)
    prompts = load_settings().prompts
    made = (training_form(row, prompts) for row in read_questions(rows))
    forms = [form for form in made if isinstance(form, TrainingForm)]
    forms = forms[:: max(1, len(forms) // limit)][:limit]
    # Imported here, where the lines that transformers and peft print at their import go to the log file.
    from tuning.lora_model import adapted, load_base

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


def _answers(
    model: Any, head: Any, coder: TextCoder, forms: Forms, recipe: FinetuneRecipe, arguments: Any
) -> tuple[Any, int]:
    written = replace(engine_settings(recipe), choice="label", selection="label", spans="write")
    made = [example(coder, form, written, recipe.limits, str(index)) for index, form in enumerate(forms)]
    from tuning.answer_trainer import AnswerTrainer

    trainer = AnswerTrainer(model, head, coder.pad, group_by_length=True, args=arguments, train_dataset=made)
    return trainer, sum(each.length for each in made)


def _plain(
    model: Any, _: Any, coder: TextCoder, forms: Forms, recipe: FinetuneRecipe, arguments: Any
) -> tuple[Any, int]:
    chats = [_chat(form, coder, recipe) for form in forms]
    dataset: Any = [{"input_ids": tokens} for tokens in chats]
    padded = partial(_padded, pad=coder.pad)
    from transformers import Trainer

    trainer = Trainer(model=model, args=arguments, train_dataset=dataset, data_collator=padded)
    return trainer, sum(map(len, chats))


def _chat(form: TrainingForm, coder: TextCoder, recipe: FinetuneRecipe) -> list[int]:
    question = question_tokens(coder, form.prompt, form.prompt.user, recipe.limits.prompt)
    return [*question, *coder.continuation(answer_of(form))[: recipe.limits.text], coder.ends[0]]


def answer_of(form: TrainingForm) -> str:
    """Return the right answer in its written form."""
    if form.texts:
        return ", ".join(form.texts)
    labels = getattr(form.prompt.space, "labels", ())
    return ", ".join(label for label, gain in zip(labels, form.gains, strict=True) if gain == max(form.gains))


def _padded(rows: Sequence[dict[str, list[int]]], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(row["input_ids"]) for row in rows)
    sizes = [len(row["input_ids"]) for row in rows]
    ids = torch.tensor([row["input_ids"] + [pad] * (width - size) for row, size in zip(rows, sizes, strict=True)])
    real = torch.arange(width)[None] < torch.tensor(sizes)[:, None]
    return {"input_ids": ids, "attention_mask": real.long(), "labels": ids.masked_fill(~real, _NO_LOSS)}


if __name__ == "__main__":
    sys.exit(exit_code(main))
