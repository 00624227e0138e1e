"""Opens the sources of evidence that the settings name: similarities, catalogue, and files of fitted weights."""

import logging
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from retrieval.embeddings import PACKAGED, NotScorableError, load_encoder, load_folder
from retrieval.knowledge import (
    KINDS,
    LEXICAL,
    MODEL,
    RELATED,
    VECTORS,
    Combiner,
    FittedSum,
    Knowledge,
    ReciprocalRank,
    Similarity,
    SwitchedFusion,
    Vectors,
    key_of,
)
from retrieval.lexical import relevance
from retrieval.settings import RECIPROCAL_RANK, KnowledgeSettings
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.typed_yaml import read_mapping

_LOG = logging.getLogger("shopalign")

FOLDER = ROOT / "retrieval" / "fitted_weights"
"""The folder of the files of fitted weights."""


def open_knowledge(settings: KnowledgeSettings, identity: Mapping[str, str]) -> Knowledge:
    """Open the sources that the settings name; a damaged catalogue is left out, logged and counted as an event.

    `identity` is that of the model (`models.engines.settings.engine_identity`). Weights that were fitted for another
    model or way of answering are not used; this is counted, too.

    Raises:
        UserError: the embedding model or the weights cannot be read.
    """
    named = settings.similarity.split("+")
    similarities: dict[str, Similarity] = {LEXICAL: relevance} if LEXICAL in named else {}
    if VECTORS in named:
        packaged = settings.vectors == PACKAGED
        similarities[VECTORS] = load_vectors(PACKAGED if packaged else str(ROOT / settings.vectors)).similarity
    events: Counter[str] = Counter()
    combiner = combiner_for(settings, identity, events)
    knowledge = Knowledge(similarities, combiner, events=events)
    return _with_catalogue(knowledge, settings) if settings.catalog and settings.related else knowledge


def weights_name(settings: KnowledgeSettings, identity: Mapping[str, str]) -> Path:
    """Return the file for fitted weights: the file of the settings, else one named after model and adapter."""
    name = "+".join(filter(None, (identity["model"], Path(identity.get("adapter", "")).name)))
    return ROOT / settings.weights if settings.weights else FOLDER / f"{name}.yaml"


def weights_file(settings: KnowledgeSettings, identity: Mapping[str, str], folder: Path = FOLDER) -> Path | None:
    """Return the file of fitted weights to use for a model; None if there is none.

    Unless the settings name a file, the fingerprint of the model's weights selects it, else the name of the model.

    Raises:
        UserError: a file of the folder cannot be read.
    """
    if settings.weights:
        return ROOT / settings.weights
    known = identity.get("weights_sha256")
    for path in sorted(folder.glob("*.yaml")):
        if known and read_fitted_for(path).get("weights_sha256") == known:
            return path
    named = (folder / f"{weights_name(settings, each).stem}.yaml" for each in (identity, {"model": identity["model"]}))
    return next((path for path in named if path.is_file()), None)


def combiner_for(settings: KnowledgeSettings, identity: Mapping[str, str], events: Counter[str]) -> Combiner:
    """Return the combiner of a model's scores with evidence; weights of another model are not used, which is counted.

    Raises:
        UserError: the weights cannot be read.
    """
    return SwitchedFusion(_combiner(settings, identity, events), settings.fuse)


def _combiner(settings: KnowledgeSettings, identity: Mapping[str, str], events: Counter[str]) -> Combiner:
    if settings.combine == RECIPROCAL_RANK:
        return ReciprocalRank()
    path = weights_file(settings, identity)
    if path is None:
        events["no fusion weights for the model"] += 1
        return FittedSum({})
    if settings.weights:
        return FittedSum(read_weights(path))
    weights, fitted_for = read_weights(path), read_fitted_for(path)
    other = [name for name, value in fitted_for.items() if identity.get(name) and value != identity[name]]
    if other:
        _LOG.warning(
            "%s was fitted for another model (%s): the model's scores are used without evidence",
            path,
            ", ".join(other),
        )
        events["fusion weights of another model not used"] += 1
    return FittedSum(without_model(weights) if other else weights)


def _with_catalogue(knowledge: Knowledge, settings: KnowledgeSettings) -> Knowledge:
    try:
        from retrieval.products.catalogue import Catalog

        catalog = Catalog.open(ROOT / Path(settings.catalog).expanduser())
    except (UserError, OSError, ImportError) as error:
        _LOG.warning("no catalogue: %s", error)
        knowledge.events["catalogue refused"] += 1
        return knowledge

    described = asdict(catalog.manifest)
    return replace(
        knowledge, products=lambda query: catalog.related(query, settings.related).titles, catalogue=described
    )


def load_vectors(named: str) -> Vectors:
    """Load the packaged model by its name, or the sentence-transformers model of a folder, onto the CPU.

    Raises:
        UserError: this machine has no such model.
    """
    try:
        return Vectors(load_encoder(PACKAGED) if named == PACKAGED else load_folder(Path(named).expanduser()))
    except NotScorableError as error:
        raise UserError(f"setting knowledge.vectors: {error}") from None


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
