"""Opens the sources of evidence that the settings name: similarities, catalogue, and fitted weights."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from retrieval.bm25 import relevance
from retrieval.embeddings import PACKAGED, load_vectors
from retrieval.fusion import (
    LEXICAL,
    MODEL,
    VECTORS,
    Combiner,
    FittedSum,
    ReciprocalRank,
    Scores,
    read_fitted_for,
    read_weights,
    without_model,
)
from retrieval.knowledge import Knowledge, Similarity
from retrieval.settings import RECIPROCAL_RANK, FuseSettings, KnowledgeSettings
from utilities.errors import UserError
from utilities.files import ROOT

_LOG = logging.getLogger("shopalign")

FOLDER = ROOT / "retrieval" / "fitted_weights"
"""The folder of the files of fitted weights."""


class SwitchedFusion:
    """A combiner that returns the model's scores unchanged for the kinds of question that are switched off."""

    def __init__(self, combiner: Combiner, fuse: FuseSettings) -> None:
        self._combiner, self._fuse = combiner, asdict(fuse)

    def combine(self, kind: str, scores: Scores) -> tuple[float, ...]:
        """Return a score for each candidate."""
        if MODEL in scores and not self._fuse.get(kind, True):
            return tuple(scores[MODEL])
        return self._combiner.combine(kind, scores)


def open_knowledge(settings: KnowledgeSettings, identity: Mapping[str, str]) -> Knowledge:
    """Open what the settings name; a damaged catalogue is left out, logged and counted in the knowledge's events.

    `identity` tells the model, as `models.settings.engine_identity` does: what its file says was fitted for another
    model or way of answering is not used, which is counted too.

    Raises:
        UserError: the vectors' model or the weights cannot be had.
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
