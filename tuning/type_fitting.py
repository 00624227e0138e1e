"""Fits the classifier of task types on labelled wordings: a linear model of n-grams, then the bonus of each rule."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.svm import LinearSVC  # type: ignore[import-untyped]

from prompts.detection import FALLBACK_RULE, RULES
from prompts.type_classifier import TypeClassifier, scaled
from prompts.wording_features import BLOCKS, BUCKETS, Counts
from utilities.task_type import TaskType

_RULES = (*(name for name, _, _ in RULES), FALLBACK_RULE)
_LEAST_ROWS = 2  # an n-gram of one row only is no sign of a type
_RARITY_UNITS = 24
"""Rarity is kept in steps of 1/24: up to 10.6, which is the rarest n-gram of 15,000 rows."""
_MOST = 127
_LOW = -2.0

Floats = NDArray[np.float64]


class WordingRow(NamedTuple):
    """A labelled wording with all that a fit needs of it.

    Attributes:
        writer: the name of its file. language: the language of its instruction. task_type: the true type. by_rule: the
        type by the rules, and the name of the rule. blocks: its features.
    """

    writer: str
    language: str
    task_type: TaskType
    by_rule: tuple[TaskType, str]
    blocks: Sequence[Counts]


def fit_wording(rows: Sequence[WordingRow], task_types: tuple[TaskType, ...], seed: int) -> TypeClassifier:
    """Return a classifier by the wording alone; its rules have no bonus, and a type without rows scores low."""
    rarity = np.stack([_rarity([row.blocks[number] for row in rows]) for number in range(len(BLOCKS))])
    features = hstack([_matrix(rows, number, rarity[number]) for number in range(len(BLOCKS))]).tocsr()
    model = LinearSVC(random_state=seed).fit(features, [task_types.index(row.task_type) for row in rows])
    coefficients, offsets = _of_each_type(model, len(task_types))
    bonuses = np.zeros((len(_RULES), len(task_types)))
    return _quantised(task_types, rarity, coefficients.reshape(len(BLOCKS), BUCKETS, -1), offsets, bonuses)


def fit_rules(
    rows: Sequence[WordingRow], scores: Floats, importance: Mapping[str, float], task_types: Sequence[TaskType]
) -> tuple[Floats, Floats, Floats]:
    """Return how scores of held-out rows and their rules become logits: a matrix, offsets, and a bonus for each rule.

    `importance` is the weight of a writer's rows, 1 by default; rows of weight 0 do not count.
    """
    inputs = np.hstack([scores, rules_of(rows)])
    truth = [task_types.index(row.task_type) for row in rows]
    model = LogisticRegression(max_iter=3000)
    model.fit(inputs, truth, sample_weight=[importance.get(row.writer, 1.0) for row in rows])
    coefficients, offsets = _of_each_type(model, len(task_types))
    return coefficients[: len(task_types)], offsets, coefficients[len(task_types) :]


def with_rules(wording: TypeClassifier, fitted: tuple[Floats, Floats, Floats]) -> TypeClassifier:
    """Return a classifier whose scores are the logits of `fit_rules`."""
    matrix, offsets, bonuses = fitted
    weights = (wording.weights * wording.scales[:, None, None]) @ matrix
    offsets = wording.offsets @ matrix + offsets
    return _quantised(wording.task_types, wording.rarity, weights, offsets, bonuses)


def rules_of(rows: Sequence[WordingRow]) -> Floats:
    """Return a row of zeros for each wording, with a 1 for its rule."""
    return np.eye(len(_RULES))[[_RULES.index(row.by_rule[1]) for row in rows]]


def _of_each_type(model: Any, types: int) -> tuple[Floats, Floats]:
    """Return a model's coefficients, [inputs, types], and its offsets; scikit-learn has one row for two classes."""
    halves = (-0.5, 0.5) if len(model.classes_) == 2 else (1.0,)
    coefficients, offsets = np.zeros((types, model.coef_.shape[1])), np.full(types, _LOW)
    coefficients[model.classes_] = np.concatenate([half * model.coef_ for half in halves])
    offsets[model.classes_] = np.concatenate([half * model.intercept_ for half in halves])
    return coefficients.T, offsets


def _quantised(
    task_types: tuple[TaskType, ...], rarity: NDArray[np.uint8], weights: Floats, offsets: Floats, bonuses: Floats
) -> TypeClassifier:
    scales = np.abs(weights).max(axis=(1, 2)) / _MOST
    scales[scales == 0] = 1.0
    small = np.round(weights / scales[:, None, None]).astype(np.int8)
    rest = (each.astype(np.float32) for each in (scales, offsets, bonuses))
    return TypeClassifier(task_types, _RULES, rarity, small, *rest)


def _rarity(blocks: Sequence[Counts]) -> NDArray[np.uint8]:
    """Return the inverse document frequency of each bucket; 0 for those of fewer than two rows."""
    rows = np.bincount(np.concatenate([block.buckets for block in blocks]), minlength=BUCKETS)
    inverse = np.log((1 + len(blocks)) / (1 + rows)) + 1
    return np.where(rows >= _LEAST_ROWS, np.round(inverse * _RARITY_UNITS).clip(max=255), 0).astype(np.uint8)


def _matrix(rows: Sequence[WordingRow], number: int, rarity: NDArray[np.uint8]) -> csr_matrix:
    """Return the vectors of one block, [rows, buckets]."""
    length = list(BLOCKS.values())[number]
    blocks = [row.blocks[number] for row in rows]
    values = np.concatenate([scaled(block, rarity, length) for block in blocks])
    ends = np.cumsum([0, *(len(block.buckets) for block in blocks)])
    return csr_matrix((values, np.concatenate([block.buckets for block in blocks]), ends), (len(rows), BUCKETS))
