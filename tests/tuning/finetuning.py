"""A recipe, rows and the command line of a small fine-tuning run."""

import json
from pathlib import Path

RECIPE = """\
model: smollm2-135m-instruct
lora: {rank: 4, alpha: 8, targets: all-linear}
optimiser: {learning_rate: 0.01, schedule: constant, warmup: 0.0}
limits: {prompt: 96, option: 8, options: 32, text: 8, phrases: 6}
epochs: 2
batch: 2
accumulate: 2
evaluate_every: 2
held_out: 4
keep: last
"""


def rows(count: int, first: int = 0) -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for index in range(first, first + count):
        if index % 3 == 0:
            text = f"Which category fits item {index}?\n0. Lighting\n1. Shoes {index}\n2. Garden tools\nAnswer:"
            each = {"task_type": "multiple-choice", "metric": "accuracy", "output_field": index % 2}
        elif index % 3 == 1:
            text = f"Explain the product type teapot {index}.\nOutput:"
            each = {"task_type": "generation", "metric": "sent-transformer", "output_field": f"A pot {index}."}
        else:
            text = (
                "Please extract phrases from the query that correspond to the entity type 'product type'.\n"
                f"Query: blue kids helmet {index}\nOutput:"
            )
            each = {"task_type": "named_entity_recognition", "metric": "micro f1", "output_field": ["helmet"]}
        made.append({"input_field": text, "task_name": f"task{index % 3}", **each})
    return made


def write_rows(path: Path, given: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    return path


def make_command(folder: Path, base: Path) -> list[str]:
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE, encoding="utf-8")
    training, held = write_rows(folder / "train.jsonl", rows(12)), write_rows(folder / "held.jsonl", rows(6, 100))
    options = {"recipe": recipe, "rows": training, "held-out": held, "output": folder / "adapter", "base": base}
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
