"""What decides the answers of a row: settings, weights, evidence, and the code with the packages that it stands on."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from evaluation.run_record import versions
from models.cooperation import engine_settings, identities
from models.engines.settings import engine_identity
from models.settings import Settings
from retrieval.embeddings import ENGLISH, at_hand
from retrieval.products.manifest import MANIFEST
from retrieval.settings import FITTED, PACKAGED
from retrieval.sources import weights_file
from utilities.files import ROOT
from utilities.fingerprint import fingerprint

_CODE = ("models", "prompts", "retrieval", "evaluation", "utilities", "local_evaluation.py")
_SOURCES = (".py", ".yaml", ".json", ".jinja")
# Tools that run beside the model change no answer; weights, adapters and fitted weights are told by their content.
_NO_ANSWERS = (
    "models/adapters/",
    "retrieval/fitted_weights/",
    "models/weights/",
    "evaluation/report",
)


def code_digest() -> str:
    """Return what tells the code, the settings and the packages that answers are made with, 12 hexadecimal digits."""
    told = {name: number for name, number in versions().items() if name != "shopalign"}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for path in sorted(path for name in _CODE for path in (ROOT / name, *(ROOT / name).rglob("*"))):
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in _SOURCES and not name.startswith(_NO_ANSWERS):
            digest.update(f"{name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def identity_of(values: Mapping[str, Any], settings: Settings) -> bytes:
    """Return what tells a row's settings, weights and evidence; an adapter is told by its content, wherever it lies.

    Raises:
        UserError: a file of fitted weights cannot be read.
    """
    engine = {name: value for name, value in values.get("engine", {}).items() if name != "adapter"}
    models = [identity["weights_sha256"] for identity in identities(settings).values()]
    beside = [engine_identity(each)["weights_sha256"] for each in engine_settings(settings).values()]
    told = [{**values, "engine": engine}, models, beside, _evidence(settings), *_scorers()]
    return json.dumps(told, sort_keys=True).encode()


def _scorers() -> list[str]:
    """Return the embedding models beside the one that is always there: with more of them more tasks are scored."""
    return [name for name in at_hand() if name != ENGLISH]


def _evidence(settings: Settings) -> list[str]:
    """Return what tells the files that evidence is made and weighed with; what is missing has no part in it."""
    told = settings.knowledge
    vectors = ROOT / Path(told.vectors).expanduser()
    found = [fingerprint(vectors)] if told.vectors != PACKAGED and (vectors / "config.json").is_file() else []
    if told.catalog:
        found += _digests([ROOT / Path(told.catalog).expanduser() / MANIFEST])
    if told.combine == FITTED:
        files = (weights_file(told, identity) for identity in identities(settings).values())
        found += _digests(path for path in files if path)
    return found


def _digests(paths: Iterable[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()]
