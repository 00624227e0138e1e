"""Settings of the package: frozen, checked, read from one YAML file."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.engines.adapter_config import holds_adapter
from models.engines.model_registry import DEFAULT_MODEL, OWN_TEMPLATE, CatalogueEntry, catalogue_entry
from models.engines.vllm_engine.settings import VllmSettings
from prompts.chain_of_thought import CHOICE, KINDS
from prompts.settings import PromptSettings
from retrieval.sources import KnowledgeSettings
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.fingerprint import fingerprint_of_both
from utilities.task_type import TaskType
from utilities.typed_yaml import build, read_mapping

DEFAULT_FILE = ROOT / "models" / "settings.yaml"
FILE_VARIABLE = "SHOPALIGN_SETTINGS"
MODEL_VARIABLE = "SHOPALIGN_MODEL"
WEIGHTS_VARIABLE = "SHOPALIGN_WEIGHTS"
ADAPTER_VARIABLE = "SHOPALIGN_ADAPTER"
NO_ADAPTER = "none"
NO_REASONING, OWN_REASONING = "none", "own"

_GPU_TOKENS = 4096
_ANSWER_TOKENS = 256

DTYPES = ("float32", "float16", "bfloat16")
DEVICES = ("auto", "cpu", "cuda")
SCORINGS = ("label", "text", "pmi", "decode")
SPAN_WAYS = ("score", "write")
AWQ = ("auto", "kernels", "dense")
FROM_CATALOGUE = ("weights", "adapter", "dtype", "chat_template", "choice", "selection", "spans")
SPARE = ("none", "orders", "decode")


@dataclass(frozen=True)
class EngineSettings:
    """How the model is run; what `load_settings` is not told, it takes from the catalogue's entry of `model`.

    `weights` is a folder in Hugging Face layout, relative to the repository, and `adapter` that of a LoRA adapter for
    them in peft's layout, empty for none; `adapters` are further ones that prompts may ask for. `choice` and
    `selection` say how options are answered: `label` by the probability of their numbers, `text` by the mean
    log-probability of their texts, `pmi` by what the question adds to that, `decode` by writing the numbers under the
    constraint. `spans` says whether phrases of the question are compared by their probabilities (`score`), or written
    and looked up in it (`write`). `token_budget` is the most tokens in a padded batch, `max_prompt_tokens` the most of
    one prompt. `chat_template` is `own` for the tokenizer's, else the name of a file of
    `models/engines/chat_templates`. `awq` is how 4-bit weights are computed with: packed by `kernels`, made `dense`
    when they are loaded, or `auto`, whichever is faster on the device.
    """

    model: str = DEFAULT_MODEL
    name: str = "transformers"
    weights: str = "models/weights/smollm2-135m-instruct"
    adapter: str = ""
    adapters: tuple[str, ...] = ()
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
class OfTaskTypes:
    """One name for each task type; empty where the type has none of its own."""

    multiple_choice: str = ""
    retrieval: str = ""
    ranking: str = ""
    named_entity_recognition: str = ""
    generation: str = ""

    def of(self, task_type: TaskType) -> str:
        """Return the name for a task type."""
        return str(getattr(self, task_type.name.lower()))


@dataclass(frozen=True)
class CooperationSettings:
    """Which task types are answered by something else than `engine`.

    `adapters` are folders of LoRA adapters for the weights of `engine`, relative to the repository, `none` for the
    weights alone; `models` are names of the catalogue, each a further model that is loaded beside.
    """

    adapters: OfTaskTypes = field(default_factory=OfTaskTypes)
    models: OfTaskTypes = field(default_factory=OfTaskTypes)

    def __post_init__(self) -> None:
        for task_type in TaskType:
            if self.adapters.of(task_type) and self.models.of(task_type):
                raise UserError(
                    f"settings cooperation.adapters and cooperation.models both name something for "
                    f"{task_type.name.lower()}: an adapter is for the weights of engine, so remove one of them"
                )


@dataclass(frozen=True)
class ReasoningSettings:
    """Who writes reasoning for multiple-choice questions before they are answered.

    `source` is `none`, `own` for the model of `engine`, or a name of the catalogue, a further model that is loaded
    beside. It writes up to `words` words for questions of `kinds`, and may take `share` of the seconds that a batch
    has.
    """

    source: str = NO_REASONING
    words: int = 50
    kinds: tuple[str, ...] = (CHOICE,)
    share: float = 0.4

    def __post_init__(self) -> None:
        for kind in self.kinds:
            _one_of("reasoning.kinds", kind, KINDS)
        if self.words < 1:
            raise UserError(f"setting reasoning.words is {self.words}; it must be at least 1")
        if not 0 < self.share < 1:
            raise UserError(f"setting reasoning.share is {self.share}; it must lie between 0 and 1")


@dataclass(frozen=True)
class Settings:
    """All settings; `batch_size` is what `get_batch_size` tells the evaluator, 1 to 16."""

    batch_size: int = 16
    engine: EngineSettings = field(default_factory=EngineSettings)
    prompts: PromptSettings = field(default_factory=PromptSettings)
    clock: ClockSettings = field(default_factory=ClockSettings)
    knowledge: KnowledgeSettings = field(default_factory=KnowledgeSettings)
    cooperation: CooperationSettings = field(default_factory=CooperationSettings)
    reasoning: ReasoningSettings = field(default_factory=ReasoningSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= 16:
            raise UserError(f"setting batch_size is {self.batch_size}; the evaluator accepts 1 to 16")


def load_settings(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a settings file: `path`, else the file that SHOPALIGN_SETTINGS names, else the default one.

    In the environment, SHOPALIGN_MODEL replaces `engine.model`, SHOPALIGN_WEIGHTS `engine.weights`, SHOPALIGN_ADAPTER
    `engine.adapter`. Other weights come without an adapter unless one is named, because an adapter belongs to its base.

    Raises:
        UserError: the file is missing, is not YAML, or holds an unknown key, a value of the wrong type or a model that
            the catalogue lacks.
    """
    path = path or settings_file(environment)
    values = read_mapping(path, "the settings", f"name a file by {FILE_VARIABLE}")
    given = values.get("engine", {})
    if isinstance(given, dict):
        model = environment.get(MODEL_VARIABLE) or given.get("model", DEFAULT_MODEL)
        values["engine"] = _with_entry(given, catalogue_entry(str(model)))
    settings = build(Settings, values, f"{path}: ")
    reasoning = () if settings.reasoning.source in (NO_REASONING, OWN_REASONING) else (settings.reasoning.source,)
    for model in (*filter(None, vars(settings.cooperation.models).values()), *reasoning):
        catalogue_entry(model)
    return dataclasses.replace(settings, engine=_with_variables(settings.engine, environment))


def settings_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file that SHOPALIGN_SETTINGS names, else the default one."""
    named = environment.get(FILE_VARIABLE)
    return Path(named) if named else DEFAULT_FILE


def _with_entry(engine: dict[str, Any], entry: CatalogueEntry) -> dict[str, Any]:
    """Return the engine's settings with what they leave open from the catalogue."""
    known: dict[str, Any] = {name: getattr(entry, name) for name in FROM_CATALOGUE}
    if engine.get("weights", entry.weights) != entry.weights:
        known["adapter"] = ""
    known["name"] = entry.engine
    known["token_budget"] = _GPU_TOKENS if entry.engine == "vllm" else EngineSettings.token_budget
    known["max_prompt_tokens"] = min(EngineSettings.max_prompt_tokens, entry.context_length - _ANSWER_TOKENS)
    given = engine.get("vllm", {})
    if isinstance(given, dict):
        longest = min(VllmSettings.max_model_len, entry.context_length)
        engine = {**engine, "vllm": {"tensor_parallel": entry.tensor_parallel, "max_model_len": longest, **given}}
    return {**known, **engine, "model": entry.name}


def _with_variables(engine: EngineSettings, environment: Mapping[str, str]) -> EngineSettings:
    """Return the engine's settings with what the environment replaces."""
    weights, adapter = environment.get(WEIGHTS_VARIABLE), environment.get(ADAPTER_VARIABLE)
    if weights:
        engine = dataclasses.replace(engine, weights=weights, adapter="")
    return dataclasses.replace(engine, adapter=adapter_name(adapter or engine.adapter))


def settings_of_entry(model: str, like: EngineSettings) -> EngineSettings:
    """Return the settings of the catalogue's model, run on the device and with the share of memory of another.

    Raises:
        UserError: the catalogue has no such model.
    """
    kept = ("distributed_backend", "memory_fraction", "prefix_caching", "enforce_eager")
    vllm = {name: getattr(like.vllm, name) for name in kept}
    values = _with_entry({"device": like.device, "awq": like.awq, "vllm": vllm}, catalogue_entry(model))
    return build(EngineSettings, values, f"{model}: ")


def weights_folder(settings: EngineSettings) -> Path:
    """Return the folder of the weights; a relative one lies in the repository."""
    return ROOT / Path(settings.weights).expanduser()


def adapter_name(given: str) -> str:
    """Return an adapter's name, which is its folder as the settings write it; empty for none."""
    return "" if given == NO_ADAPTER else given


def adapter_folders(settings: EngineSettings) -> dict[str, Path | None]:
    """Return the folder of each adapter by its name, None for none; the engine's own stands first."""
    names = dict.fromkeys((settings.adapter, *settings.adapters))
    return {name: ROOT / Path(name).expanduser() if name else None for name in names}


def engine_identity(settings: EngineSettings) -> dict[str, str]:
    """Return what tells a model with its adapter and its way of answering options.

    There is no fingerprint where the files are not at hand.
    """
    folder, adapter = weights_folder(settings), adapter_folders(settings)[settings.adapter]
    at_hand = (folder / "config.json").is_file() and (adapter is None or holds_adapter(adapter))
    return {
        "model": settings.model,
        "adapter": settings.adapter,
        "weights_sha256": fingerprint_of_both(folder, adapter) if at_hand else "",
        "choice": settings.choice,
        "selection": settings.selection,
    }


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"setting {name} is {value!r}; choose one of: {', '.join(choices)}")
