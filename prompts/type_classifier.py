"""Scores of the task types by a question's wording and by the rule that applies: a linear model, loaded once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from prompts.reading import Question
from prompts.wording_features import BLOCKS, Counts, counted
from utilities.files import replacing
from utilities.task_type import TaskType

WEIGHTS = Path(__file__).with_name("type_weights.safetensors")
"""Made by `python -m tuning.fit_detection`."""
_NAMES = "names"  # one entry of the header: safetensors writes several in no fixed order


@dataclass(frozen=True)
class TypeClassifier:
    """A linear model over hashed n-grams, as small integers.

    Attributes:
        task_types: the types, in the order of the scores. rules: the names of the rules that have a bonus. rarity: the
        weight of each bucket of each block, [blocks, buckets]; rare n-grams weigh more. weights: [blocks, buckets,
        types]. scales: the unit of `weights`, one for each block. offsets: one for each type. bonuses: the score that a
        rule adds to each type if it is the one that applies, [rules, types].
    """

    task_types: tuple[TaskType, ...]
    rules: tuple[str, ...]
    rarity: NDArray[np.uint8]
    weights: NDArray[np.int8]
    scales: NDArray[np.float32]
    offsets: NDArray[np.float32]
    bonuses: NDArray[np.float32]

    def scores(self, question: Question, rule: str) -> Mapping[TaskType, float]:
        """Return the score of each type for a question to which `rule` applies; the highest is the likeliest."""
        total = self.wording_scores(counted(question))
        if rule in self.rules:
            total = total + self.bonuses[self.rules.index(rule)]
        return dict(zip(self.task_types, total.tolist(), strict=True))

    def wording_scores(self, blocks: Sequence[Counts]) -> NDArray[np.float32]:
        """Return the score of each type by the wording alone."""
        total = self.offsets.copy()
        for number, (block, length) in enumerate(zip(blocks, BLOCKS.values(), strict=True)):
            vector = scaled(block, self.rarity[number], length)
            total += (vector @ self.weights[number, block.buckets].astype(np.float32)) * self.scales[number]
        return total


def scaled(block: Counts, rarity: NDArray[np.uint8], length: float) -> NDArray[np.float32]:
    """Return the values of a block's filled buckets: counts by rarity, as a vector of this length."""
    values = block.counts * rarity[block.buckets]
    norm = float(np.sqrt(values @ values))
    return values * np.float32(length / norm if norm else 0.0)


@cache
def classifier() -> TypeClassifier:
    """Return the package's classifier."""
    return read(WEIGHTS)


def read(path: Path) -> TypeClassifier:
    """Read a classifier that `write` has written."""
    with safe_open(path, framework="numpy") as file:
        names: Mapping[str, list[str]] = json.loads(file.metadata()[_NAMES])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    task_types = tuple(TaskType(name) for name in names["task_types"])
    return TypeClassifier(task_types, tuple(names["rules"]), **tensors)


def write(classifier: TypeClassifier, path: Path) -> None:
    """Write a classifier atomically: a safetensors file that holds the names of types and rules in its header."""
    names = json.dumps({"task_types": classifier.task_types, "rules": classifier.rules})
    # safetensors writes the memory of an array, whatever the order of its axes is.
    arrays = ("rarity", "weights", "scales", "offsets", "bonuses")
    tensors = {name: np.ascontiguousarray(getattr(classifier, name)) for name in arrays}
    with replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={_NAMES: names}))
