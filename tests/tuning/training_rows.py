"""Files of training rows, made up for tests."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_THINGS = [
    *("kettle", "lamp", "scarf", "mug", "hose", "bottle", "drill", "pillow", "basket", "mirror"),
    *("candle", "towel", "kite", "bench", "clock", "ladder", "broom", "vase", "tray", "whistle"),
    *("helmet", "anchor", "puzzle", "easel", "hammock", "lantern", "thimble", "bucket", "compass", "trowel"),
]
_KINDS = ["copper", "woollen", "red", "steel", "garden", "paper", "folding", "striped", "oak", "enamel"]


def thing(index: int) -> str:
    """Return a product that no other index below 300 names."""
    return f"{_KINDS[index % 10]} {_THINGS[index // 10 % 30]} {index}"


def choice(index: int, **fields: Any) -> dict[str, Any]:
    """Return a multiple-choice row."""
    text = f"Which material is the {thing(index)} made of?\n0. wood\n1. metal\n2. wool\n3. glass\nAnswer: "
    return _row(text, index % 4, "material", "multiple-choice", "accuracy", fields)


def ranking(index: int, **fields: Any) -> dict[str, Any]:
    """Return a ranking row."""
    listed = "\n".join(f"{number}. {thing(index * 5 + number)}" for number in range(1, 6))
    text = (
        f"Rank these products by their relevance to the query '{thing(index)}'.\nProduct List:\n{listed}\n"
        "Output a permutation of 1 to 5, separated by commas.\nOutput:"
    )
    return _row(text, [1, 0.1, 0, 0.01, 0], "order", "ranking", "ndcg", fields)


def written(index: int, **fields: Any) -> dict[str, Any]:
    """Return a generation row."""
    text = f"Instructions: Describe the product in a sentence.\nProduct: {thing(index)}\nOutput: "
    return _row(text, f"A fine {thing(index)}.", "describe", "generation", "sent-transformer", fields)


def entity(index: int, **fields: Any) -> dict[str, Any]:
    """Return a named entity row."""
    text = f"Extract phrases of the entity type 'product type' from the query.\nQuery: {thing(index)}\nOutput: "
    return _row(text, [thing(index).split()[1]], "entities", "named_entity_recognition", "micro f1", fields)


def retrieval(index: int, **fields: Any) -> dict[str, Any]:
    """Return a retrieval row."""
    listed = "\n".join(f"{number}. {thing(index + number * 7)}" for number in range(1, 9))
    text = (
        f"A customer bought a {thing(index)}. Choose three products from the list that they may also buy. "
        f"Output three numbers, separated by commas.\nProduct List:\n{listed}\nOutput:"
    )
    return _row(text, [1, 4, 8], "also_buy", "retrieval", "hit rate@3", fields)


def all_kinds(each: int) -> list[dict[str, Any]]:
    """Return `each` rows of every task type."""
    return [make(index) for make in (choice, ranking, written, entity, retrieval) for index in range(each)]


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write JSON Lines and return their path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _row(
    text: str, answer: object, task: str, task_type: str, metric: str, fields: Mapping[str, Any]
) -> dict[str, Any]:
    row = {"input_field": text, "output_field": answer, "task": task, "task_type": task_type, "metric": metric}
    return {**row, **fields}
