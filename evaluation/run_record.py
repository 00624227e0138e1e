"""The part of scores.json that describes the run: times, fallbacks, settings, weights, versions and data."""

import hashlib
import json
import platform
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from evaluation.journal import Journal, totals_of
from evaluation.loop import Model, Prediction, described
from evaluation.questions import QuestionRow
from utilities.files import ROOT
from utilities.fingerprint import sha256

_PACKAGES = (
    "torch", "transformers", "tokenizers", "numpy", "rank-bm25", "tantivy", "vllm", "gptqmodel",
    "sentence-transformers", "rouge-score", "sacrebleu",
)  # fmt: skip
_CODE = ("models", "prompts", "retrieval", "evaluation", "utilities", "local_evaluation.py")
_SOURCES = (".py", ".yaml", ".json", ".jinja")
# The report changes no answer; the other folders' files enter the key by content, for the rows that use them.
_NOT_CODE = ("models/adapters/", "retrieval/fitted_weights/", "models/weights/", "evaluation/report")
_DESCRIBED = ("settings", "weights", "speed", "catalogue")


@dataclass(frozen=True)
class RunRecord:
    """A model's pass over the questions.

    `fallbacks` and `events` are None if the model does not count them; `description` has the keys of
    `DescribesItself.describe`, None for each that the model does not have. `clock` is "track" if the model kept the
    evaluator's time limits, else "none".
    """

    prediction: Prediction
    load_seconds: float
    fallbacks: Mapping[str, int] | None
    events: Mapping[str, int] | None
    description: Mapping[str, object]
    clock: str = "none"

    @property
    def failed_by(self) -> str:
        """The reason for which more than half of the questions fell back; empty if there is none."""
        questions = len(self.prediction.answers)
        return next((reason for reason, count in (self.fallbacks or {}).items() if 2 * count > questions), "")

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
            "failed_by": self.failed_by or None,
            "events": self.events,
            "clock": self.clock,
            **self.description,
        }


NO_RUN: Mapping[str, object] = {
    "seconds": dict.fromkeys(("load", "predict", "per_question", "slowest_batch")),
    **dict.fromkeys(("fallbacks", "failed_by", "events", "clock", *_DESCRIBED)),
}
"""Takes the place of `RunRecord.to_json()` for saved answers."""


def journal_of(model: Model, data: Path, questions: Sequence[QuestionRow], folder: Path) -> Journal | None:
    """Open the journal of a run in its output folder; None if answers depend on earlier ones, as with exemplars.

    The key of the run is all that decides its answers: data, questions, code, settings and weights.
    """
    found = {name: value for name, value in described(model).items() if name != "speed"}
    settings = found.get("settings")
    prompts = settings.get("prompts") if isinstance(settings, Mapping) else None
    if isinstance(prompts, Mapping) and prompts.get("dynamic_exemplars"):
        return None
    texts = hashlib.sha256(json.dumps([asdict(question) for question in questions], sort_keys=True).encode())
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    key = {"data": sha256(data), "questions": texts.hexdigest(), "code": code_digest(), "model": name, **found}
    return Journal(folder / "unfinished.jsonl", key)


def record_run(model: Model, prediction: Prediction, load_seconds: float, clock: str = "none") -> RunRecord:
    """Gather the counts and the description of `model`, as far as it offers them."""
    found = described(model)
    # Paths and other objects become strings, so that none of them stops a finished run from being saved.
    description = json.loads(json.dumps({name: found.get(name) for name in _DESCRIBED}, default=str))
    totals = totals_of(model, found)
    for name, counts in prediction.earlier.items():
        totals.setdefault(name, Counter()).update(counts)
    if "speed" in totals:
        description["speed"] |= totals["speed"]
    counted = {name: dict(totals[name]) if name in totals else None for name in ("fallbacks", "events")}
    return RunRecord(prediction, load_seconds, counted["fallbacks"], counted["events"], description, clock)


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


def code_digest() -> str:
    """Return 12 hexadecimal digits: a hash of the package's code and settings and of the versions of its packages."""
    packages = {name: number for name, number in versions().items() if name != "shopalign"}
    digest = hashlib.sha256(json.dumps(packages, sort_keys=True).encode())
    for path in sorted(path for name in _CODE for path in (ROOT / name, *(ROOT / name).rglob("*"))):
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in _SOURCES and not name.startswith(_NOT_CODE):
            digest.update(f"{name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
