"""Models of the evaluator's contract that answer with the prompt."""

from collections.abc import Mapping, Sequence
from pathlib import Path


class Echo:
    """Answers with the prompt and remembers what it was asked; no more than the evaluator's contract."""

    def __init__(self, sizes: Sequence[int] = (2,)) -> None:
        self.sizes = list(sizes)
        self.calls: list[tuple[dict[str, list[str]], bool]] = []

    def get_batch_size(self) -> int:
        return self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]

    def batch_predict(self, batch: dict[str, list[str]], is_multiple_choice: bool) -> list[str]:
        self.calls.append((batch, is_multiple_choice))
        return list(batch["prompt"])


class Describing(Echo):
    """A model that describes itself and counts its fallbacks."""

    fallbacks: Mapping[str, int] = {"empty prompt": 2, "engine error": 1}

    def describe(self) -> dict[str, object]:
        return {"settings": {"folder": Path("models") / "weights"}, "weights": {"model": "echo"}}
