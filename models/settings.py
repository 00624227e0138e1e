"""Settings of the package: frozen, checked, read from one YAML file."""

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.catalogue import DEFAULT_MODEL, OWN_TEMPLATE, catalogue_entry
from models.engines.vllm_settings import VllmSettings
from models.knowledge import KnowledgeSettings
from prompts.settings import PromptSettings
from utilities.errors import UserError
from utilities.fingerprint import fingerprint
from utilities.typed_yaml import build, read_mapping

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_FILE = ROOT / "models" / "settings.yaml"
FILE_VARIABLE = "SHOPALIGN_SETTINGS"
MODEL_VARIABLE = "SHOPALIGN_MODEL"
WEIGHTS_VARIABLE = "SHOPALIGN_WEIGHTS"

_GPU_TOKENS = 4096
_ANSWER_TOKENS = 256

DTYPES = ("float32", "float16", "bfloat16")
DEVICES = ("auto", "cpu", "cuda")
SCORINGS = ("label", "text", "pmi", "decode")
SPAN_WAYS = ("score", "write")
AWQ = ("auto", "kernels", "dense")
FROM_CATALOGUE = ("weights", "dtype", "chat_template", "choice", "selection", "spans")
SPARE = ("none", "orders", "decode")


@dataclass(frozen=True)
class EngineSettings:
    """How the model is run; what `load_settings` is not told, it takes from the catalogue's entry of `model`.

    `weights` is a folder in Hugging Face layout, relative to the repository. `choice` and `selection` say how options
    are answered: `label` by the probability of their numbers, `text` by the mean log-probability of their texts, `pmi`
    by what the question adds to that, `decode` by writing the numbers under the constraint. `spans` says whether
    phrases of the question are compared by their probabilities (`score`), or written and looked up in it (`write`).
    `token_budget` is the most tokens in a padded batch, `max_prompt_tokens` the most of one prompt. `chat_template` is
    `own` for the tokenizer's, else the name of a file of `models/chat_templates`. `awq` is how 4-bit weights are
    computed with: packed by `kernels`, made `dense` when they are loaded, or `auto`, whichever is faster on the device.
    """

    model: str = DEFAULT_MODEL
    name: str = "transformers"
    weights: str = "models/weights/smollm2-135m-instruct"
    dtype: str = "float32"
    device: str = "auto"
    chat_template: str = OWN_TEMPLATE
    awq: str = "auto"
    choice: str = "pmi"
    selection: str = "pmi"
    spans: str = "score"
    token_budget: int = 1024
    max_prompt_tokens: int = 2048
    vllm: VllmSettings = field(default_factory=VllmSettings)

    def __post_init__(self) -> None:
        _one_of("engine.dtype", self.dtype, DTYPES)
        _one_of("engine.device", self.device, DEVICES)
        _one_of("engine.awq", self.awq, AWQ)
        _one_of("engine.choice", self.choice, SCORINGS)
        _one_of("engine.selection", self.selection, SCORINGS)
        _one_of("engine.spans", self.spans, SPAN_WAYS)
        for name in ("token_budget", "max_prompt_tokens"):
            if getattr(self, name) < 64:
                raise UserError(f"setting engine.{name} is {getattr(self, name)}; it must be at least 64 tokens")


@dataclass(frozen=True)
class ClockSettings:
    """The evaluator's limits, and what spare time is spent on.

    `seconds_per_sample` is the evaluator's limit, counted for a batch, and `share` how much of it is planned with.
    `minutes` is the track's limit, 0 for that of the track that aicrowd.json names, and `questions` how many it has, 0
    where that is unknown. `spare` is what options that are told by their numbers get when there is time: `orders`
    averages the probabilities over `orders` orders of the list, `decode` writes the numbers out, `none` is nothing.
    """

    seconds_per_sample: float = 10.0
    share: float = 0.8
    minutes: float = 0.0
    questions: int = 0
    spare: str = "none"
    orders: int = 4

    def __post_init__(self) -> None:
        _one_of("clock.spare", self.spare, SPARE)
        for name in ("seconds_per_sample", "share", "minutes", "questions"):
            if getattr(self, name) < 0:
                raise UserError(f"setting clock.{name} is {getattr(self, name)}; it cannot be negative")
        if not 0 < self.share < 1:
            raise UserError(f"setting clock.share is {self.share}; it must lie between 0 and 1")
        if not 2 <= self.orders <= 24:
            raise UserError(f"setting clock.orders is {self.orders}; it must be 2 to 24")


@dataclass(frozen=True)
class Settings:
    """All settings; `batch_size` is what `get_batch_size` tells the evaluator, 1 to 16."""

    batch_size: int = 16
    engine: EngineSettings = field(default_factory=EngineSettings)
    prompts: PromptSettings = field(default_factory=PromptSettings)
    clock: ClockSettings = field(default_factory=ClockSettings)
    knowledge: KnowledgeSettings = field(default_factory=KnowledgeSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= 16:
            raise UserError(f"setting batch_size is {self.batch_size}; the evaluator accepts 1 to 16")


def load_settings(path: Path | None = None) -> Settings:
    """Read a settings file: `path`, else the file that SHOPALIGN_SETTINGS names, else the default one.

    SHOPALIGN_MODEL replaces `engine.model`, SHOPALIGN_WEIGHTS `engine.weights`.

    Raises:
        UserError: the file is missing, is not YAML, or holds an unknown key, a value of the wrong type or a model that
            the catalogue lacks.
    """
    named = os.environ.get(FILE_VARIABLE)
    path = path or (Path(named) if named else DEFAULT_FILE)
    values = read_mapping(path, "the settings", f"name a file by {FILE_VARIABLE}")
    if isinstance(values.get("engine", {}), dict):
        values["engine"] = _with_entry(values.get("engine", {}))
    settings = build(Settings, values, f"{path}: ")
    weights = os.environ.get(WEIGHTS_VARIABLE)
    if weights:
        settings = dataclasses.replace(settings, engine=dataclasses.replace(settings.engine, weights=weights))
    return settings


def _with_entry(engine: dict[str, Any]) -> dict[str, Any]:
    """Return the engine's settings with what they leave open from the catalogue."""
    model = os.environ.get(MODEL_VARIABLE) or engine.get("model", DEFAULT_MODEL)
    entry = catalogue_entry(str(model))
    known: dict[str, Any] = {name: getattr(entry, name) for name in FROM_CATALOGUE}
    known["name"] = entry.engine
    known["token_budget"] = _GPU_TOKENS if entry.engine == "vllm" else EngineSettings.token_budget
    known["max_prompt_tokens"] = min(EngineSettings.max_prompt_tokens, entry.context_length - _ANSWER_TOKENS)
    given = engine.get("vllm", {})
    if isinstance(given, dict):
        longest = min(VllmSettings.max_model_len, entry.context_length)
        engine = {**engine, "vllm": {"tensor_parallel": entry.tensor_parallel, "max_model_len": longest, **given}}
    return {**known, **engine, "model": entry.name}


def weights_folder(settings: EngineSettings) -> Path:
    """Return the folder of the weights; a relative one lies in the repository."""
    return ROOT / Path(settings.weights).expanduser()


def engine_identity(settings: EngineSettings) -> dict[str, str]:
    """Return what tells a model and its way of answering options; no fingerprint where the weights are not at hand."""
    folder = weights_folder(settings)
    known = fingerprint(folder) if (folder / "config.json").is_file() else ""
    ways = {"choice": settings.choice, "selection": settings.selection}
    return {"model": settings.model, "weights_sha256": known, **ways}


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"setting {name} is {value!r}; choose one of: {', '.join(choices)}")
