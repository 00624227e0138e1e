"""The folder in which remedies are typed: rows, products, judgements, runs and links to the repository's own data."""

import json
from collections.abc import Iterable
from pathlib import Path

from evaluation.questions import DEVELOPMENT
from tests.submission.submission_copies import write_sparse_tensors
from utilities.files import ROOT

LINKED = {"data": "data", "tables": "experiments/tables", "recipes": "tuning/recipes"}
PRODUCTS = [{"title": f"{each} lamp", "id": str(number), "locale": "us"} for number, each in enumerate("abc")]
JUDGEMENTS = [{"query": "lamp", "product_id": "1", "esci_label": "E", "split": "train", "product_locale": "us"}]
ECINSTRUCT = {
    "split": "train", "task": "Sentiment_Analysis", "setting": "IND_Diverse_Instruction", "input": "Nice.",
    "instruction": "Is this kind?", "options": "", "output": "yes",
}  # fmt: skip


MODULE = "model.layers.0.self_attn.q_proj"
_MATRICES = {"A": [1, 128], "B": [128, 1]}


def fill(folder: Path) -> None:
    """Write the files that cases name."""
    write_model(folder / "model")
    write_model(folder / "narrow", 192)
    write_adapter(folder / "adapter")
    for name, target in LINKED.items():
        (folder / name).symlink_to(ROOT / target)
    (folder / "settings.yaml").write_text("engine: {name: scripted}\n", encoding="utf-8")
    (folder / "file").touch()
    (folder / "filled").mkdir()
    (folder / "filled" / "file").touch()
    write_lines(folder / "answers.jsonl", ["1", "2"])
    rows = [json.loads(line) for line in DEVELOPMENT.read_text(encoding="utf-8").splitlines()]
    for task_type in ("multiple-choice", "ranking", "generation"):
        write_lines(folder / f"{task_type}.jsonl", [row for row in rows if row["task_type"] == task_type][:6])
    (folder / "choices.jsonl").write_text("".join(_choices()), encoding="utf-8")
    write_lines(folder / "products.jsonl", PRODUCTS)
    write_lines(folder / "judgements.jsonl", JUDGEMENTS)
    write_lines(folder / "ecinstruct.jsonl", [ECINSTRUCT])
    write_lines(folder / "plain.jsonl", [{"query": "lamp", "product_id": "1", "esci_label": "E", "title": "a lamp"}])
    (folder / "corrupt.jsonl").write_text("".join(_choices()) + "{\n", encoding="utf-8")
    write_lines(folder / "reviews.jsonl", [{"body": f"I like lamp {n}.", "score": "5"} for n in range(3)])


def _choices() -> Iterable[str]:
    """Yield three questions of one task."""
    fields = {"output_field": 1, "task": "choices", "task_type": "multiple-choice", "metric": "accuracy"}
    options = "\n0. red\n1. blue\nAnswer:"
    return (json.dumps({"input_field": f"Question {number}?{options}", **fields}) + "\n" for number in range(3))


def write_model(folder: Path, inputs: int = 128) -> None:
    """Write a model of one layer, whose tokenizer has no word."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama", "num_hidden_layers": 1}', encoding="utf-8")
    (folder / "tokenizer.json").write_text('{"model": {}}', encoding="utf-8")
    (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    write_sparse_tensors(folder / "model.safetensors", {f"{MODULE}.weight": [128, inputs]})


def write_adapter(folder: Path) -> None:
    """Write an adapter for a model of `write_model`."""
    folder.mkdir()
    values = {"peft_type": "LORA", "r": 1, "lora_alpha": 1}
    (folder / "adapter_config.json").write_text(json.dumps(values), encoding="utf-8")
    shapes = {f"base_model.model.{MODULE}.lora_{side}.weight": shape for side, shape in _MATRICES.items()}
    write_sparse_tensors(folder / "adapter_model.safetensors", shapes)


def write_lines(path: Path, values: Iterable[object]) -> None:
    """Write one value a line."""
    path.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")
