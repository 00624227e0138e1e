"""The file of fitted weights: readable YAML, made by `python -m tuning.fit_fusion`."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.fusion import KINDS, LEXICAL, MODEL, RELATED, VECTORS, key_of
from utilities.errors import UserError
from utilities.typed_yaml import read_mapping

Weights = Mapping[str, Mapping[str, Mapping[str, float]]]
"""A kind of question, then the sources joined as by `key_of`, to each source's weight."""
FITTED_FOR = ("weights_sha256", "choice", "selection")
"""What a file's `fitted` says of the model: its fingerprint, and how it answered options."""

_REMEDY = "make it by `python -m tuning.fit_fusion`"
_SOURCES = (LEXICAL, MODEL, RELATED, VECTORS)


def read_weights(path: Path) -> Weights:
    """Return the weights of a file.

    Raises:
        UserError: the file cannot be read, or names a kind, a source or a weight that is none.
    """
    kinds = read_mapping(path, "the weights", _REMEDY).get("kinds")
    if not isinstance(kinds, dict):
        raise UserError(f"{path}: `kinds` is missing; {_REMEDY}")
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f"{path}: unknown kind {kind!r}; known ones: {', '.join(KINDS)}")
    return {kind: _of_kind(value, f"{path}: kinds.{kind}") for kind, value in kinds.items()}


def read_fitted_for(path: Path) -> Mapping[str, object]:
    """Return for which model and ways of answering a file was fitted; nothing where a person wrote it.

    Raises:
        UserError: the file cannot be read.
    """
    fitted = read_mapping(path, "the weights", _REMEDY).get("fitted")
    return {name: fitted.get(name) for name in FITTED_FOR} if isinstance(fitted, dict) else {}


def without_model(weights: Weights) -> Weights:
    """Return the weights of evidence alone, which hold whatever the model is."""
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
