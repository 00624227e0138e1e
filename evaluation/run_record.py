"""What scores.json holds beside the scores: how the answers came about, with what, from which data."""

import hashlib
import json
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from evaluation.loop import CountsEvents, CountsFallbacks, DescribesItself, Model, Prediction
from utilities.files import ROOT

_PYPROJECT = ROOT / "pyproject.toml"
_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "rank-bm25",
    "tantivy",
    "vllm",
    "gptqmodel",
    "sentence-transformers",
    "rouge-score",
    "sacrebleu",
)


@dataclass(frozen=True)
class Run:
    """A model's pass over the questions; `fallbacks` and `events` are None for a model that does not count them."""

    prediction: Prediction
    load_seconds: float
    fallbacks: Mapping[str, int] | None
    events: Mapping[str, int] | None
    settings: object
    weights: object
    speed: object
    catalogue: object

    def to_json(self) -> dict[str, object]:
        """Return seconds, fallbacks, settings and weights as they stand in scores.json."""
        slowest = self.prediction.slowest_batch
        return {
            "seconds": {
                "load": self.load_seconds,
                "predict": self.prediction.seconds,
                "per_question": self.prediction.seconds / len(self.prediction.answers),
                "slowest_batch": {
                    "seconds": slowest.seconds,
                    "questions": slowest.questions,
                    "limit": slowest.limit,
                },
            },
            "fallbacks": _fallbacks(self.fallbacks),
            "events": self.events,
            "settings": self.settings,
            "weights": self.weights,
            "speed": self.speed,
            "catalogue": self.catalogue,
        }

    def knowledge_of(self, data_sha256: object) -> str:
        """Return whether the catalogue may hold the answers of the questions with this SHA-256."""
        if not isinstance(self.catalogue, Mapping):
            return "none"
        left_out = any(each["sha256"] == data_sha256 for each in self.catalogue["excluded"])
        products = f"{self.catalogue['counts']['products']} products"
        return f"{products}, rows of these questions {'left out' if left_out else 'NOT left out: it may hold answers'}"


NO_RUN: Mapping[str, object] = {
    "seconds": dict.fromkeys(("load", "predict", "per_question", "slowest_batch")),
    "fallbacks": None,
    "events": None,
    "settings": None,
    "weights": None,
    "speed": None,
    "catalogue": None,
}
"""The place of `Run.to_json()` where saved answers were scored."""


def record_run(model: Model, prediction: Prediction, load_seconds: float) -> Run:
    """Gather what `model` tells of itself; a model made for the evaluator alone tells nothing."""
    told = model.describe() if isinstance(model, DescribesItself) else {}
    return Run(
        prediction=prediction,
        load_seconds=load_seconds,
        fallbacks=dict(model.fallbacks) if isinstance(model, CountsFallbacks) else None,
        events=dict(model.events) if isinstance(model, CountsEvents) else None,
        settings=_jsonable(told.get("settings")),
        weights=_jsonable(told.get("weights")),
        speed=_jsonable(told.get("speed")),
        catalogue=_jsonable(told.get("catalogue")),
    )


def describe_data(path: Path, questions: int) -> dict[str, object]:
    """Return the data file's path as given, its SHA-256 and how many of its questions were asked."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"path": str(path), "sha256": digest, "questions": questions}


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of the installed packages that can move a score."""
    project = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]
    found = {"python": platform.python_version(), "shopalign": project["version"]}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _fallbacks(reasons: Mapping[str, int] | None) -> dict[str, object] | None:
    return None if reasons is None else {"total": sum(reasons.values()), "reasons": dict(reasons)}


def _jsonable(value: object) -> object:
    """Turn paths and the like into strings, so that a finished run is never lost to one of them."""
    return json.loads(json.dumps(value, default=str))
