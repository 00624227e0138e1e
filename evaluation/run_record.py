"""The part of scores.json that describes the run: times, fallbacks, settings, weights, versions and data."""

import json
import platform
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from evaluation.loop import DescribesItself, Model, Prediction
from utilities.files import ROOT
from utilities.fingerprint import sha256

_PACKAGES = (
    "torch", "transformers", "tokenizers", "numpy", "rank-bm25", "tantivy", "vllm", "gptqmodel",
    "sentence-transformers", "rouge-score", "sacrebleu",
)  # fmt: skip
_DESCRIBED = ("settings", "weights", "speed", "catalogue")


@dataclass(frozen=True)
class RunRecord:
    """A model's pass over the questions.

    `fallbacks` and `events` are None if the model does not count them; `description` has the keys of
    `DescribesItself.describe`, None for each that the model does not have.
    """

    prediction: Prediction
    load_seconds: float
    fallbacks: Mapping[str, int] | None
    events: Mapping[str, int] | None
    description: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        """Return the run's fields of scores.json."""
        slowest, reasons = self.prediction.slowest_batch, self.fallbacks
        return {
            "seconds": {
                "load": self.load_seconds,
                "predict": self.prediction.seconds,
                "per_question": self.prediction.seconds / len(self.prediction.answers),
                "slowest_batch": {"seconds": slowest.seconds, "questions": slowest.questions, "limit": slowest.limit},
            },
            "fallbacks": None if reasons is None else {"total": sum(reasons.values()), "reasons": reasons},
            "events": self.events,
            **self.description,
        }


NO_RUN: Mapping[str, object] = {
    "seconds": dict.fromkeys(("load", "predict", "per_question", "slowest_batch")),
    **dict.fromkeys(("fallbacks", "events", *_DESCRIBED)),
}
"""Takes the place of `RunRecord.to_json()` for saved answers."""


def record_run(model: Model, prediction: Prediction, load_seconds: float) -> RunRecord:
    """Gather the counts and the description of `model`, as far as it offers them."""
    described = model.describe() if isinstance(model, DescribesItself) else {}
    # Paths and other objects become strings, so that none of them stops a finished run from being saved.
    description = json.loads(json.dumps({name: described.get(name) for name in _DESCRIBED}, default=str))
    return RunRecord(prediction, load_seconds, _counts(model, "fallbacks"), _counts(model, "events"), description)


def _counts(model: Model, name: str) -> dict[str, int] | None:
    counts: Mapping[str, int] | None = getattr(model, name, None)
    return None if counts is None else dict(counts)


def describe_data(path: Path, questions: int) -> dict[str, object]:
    """Return the data file's path as given, its SHA-256 and the number of its questions that were asked."""
    return {"path": str(path), "sha256": sha256(path), "questions": questions}


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of the installed packages that affect scores."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = {"python": platform.python_version(), "shopalign": project["version"]}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
