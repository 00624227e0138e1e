"""Files of fitted fusion weights, YAML that `python -m tuning.fit_fusion` writes."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.fusion import KINDS, LEXICAL, MODEL, RELATED, VECTORS, key_of
from utilities.errors import UserError
from utilities.typed_yaml import read_mapping

Weights = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Kind of question -> sources, joined as by `key_of` -> the weight of each source."""
FITTED_FOR = ("weights_sha256", "choice", "selection")
"""Keys of a file's `fitted`: the fingerprint of the model, and its ways of answering options."""

_REMEDY = "make it by `python -m tuning.fit_fusion`"
_SOURCES = (LEXICAL, MODEL, RELATED, VECTORS)


def read_weights(path: Path) -> Weights:
    """Return the weights of a file.

    Raises:
        UserError: the file cannot be read, or a kind, a source or a weight is invalid.
    """
    kinds = read_mapping(path, "the weights", _REMEDY).get("kinds")
    if not isinstance(kinds, dict):
        raise UserError(f"{path}: `kinds` is missing; {_REMEDY}")
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f"{path}: unknown kind {kind!r}; known ones: {', '.join(KINDS)}")
    return {kind: _of_kind(value, f"{path}: kinds.{kind}") for kind, value in kinds.items()}


def read_fitted_for(path: Path) -> Mapping[str, object]:
    """Return the model and the ways of answering that a file was fitted for; empty for a file written by hand.

    Raises:
        UserError: the file cannot be read.
    """
    fitted = read_mapping(path, "the weights", _REMEDY).get("fitted")
    return {name: fitted.get(name) for name in FITTED_FOR} if isinstance(fitted, dict) else {}


def without_model(weights: Weights) -> Weights:
    """Return the weights for evidence without a model; they apply to every model."""
    return {
        kind: {key: given for key, given in fitted.items() if MODEL not in given} for kind, fitted in weights.items()
    }


def _of_kind(value: Any, where: str) -> Mapping[str, Mapping[str, float]]:
    weights = value.get("weights") if isinstance(value, dict) else None
    if not isinstance(weights, dict):
        raise UserError(f"{where}: `weights` is missing; {_REMEDY}")
    return {str(key): _of_sources(str(key), given, where) for key, given in weights.items()}


def _of_sources(key: str, given: Any, where: str) -> Mapping[str, float]:
    where = f"{where}.weights.{key}"
    if not isinstance(given, dict) or key_of([str(name) for name in given]) != key or not set(given) <= set(_SOURCES):
        raise UserError(
            f"{where}: name {', '.join(_SOURCES)} in alphabetical order, joined by +, and a weight for each"
        )
    for name, weight in given.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise UserError(f"{where}.{name} is {weight!r}; it must be a number")
    return {name: float(weight) for name, weight in given.items()}
