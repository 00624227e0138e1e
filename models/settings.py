"""The settings of the package, read from one YAML file and validated."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.engines.model_registry import DEFAULT_MODEL, ModelEntry, model_entry
from models.engines.registry import check_names
from models.engines.settings import EngineSettings, adapter_name, with_entry
from models.scheduling.clock import ClockSettings
from prompts.registry import check_variants
from prompts.settings import PromptSettings
from retrieval.settings import KnowledgeSettings
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.task_type import TaskType
from utilities.typed_yaml import Positive, Share, build, checked, read_mapping

DEFAULT_FILE = ROOT / "models" / "settings.yaml"
FILE_VARIABLE = "SHOPALIGN_SETTINGS"
MODEL_VARIABLE = "SHOPALIGN_MODEL"
WEIGHTS_VARIABLE = "SHOPALIGN_WEIGHTS"
ADAPTER_VARIABLE = "SHOPALIGN_ADAPTER"
NO_REASONING, OWN_REASONING = "none", "own"


@checked
class OfTaskTypes:
    """One name for each task type; empty for the default."""

    multiple_choice: str = ""
    retrieval: str = ""
    ranking: str = ""
    named_entity_recognition: str = ""
    generation: str = ""

    def of(self, task_type: TaskType) -> str:
        """Return the name for a task type."""
        return str(getattr(self, task_type.name.lower()))


@checked
class CooperationSettings:
    """Task types that another adapter or another model than that of `engine` answers.

    `adapters` are folders of LoRA adapters for the weights of `engine`, relative to the repository; `none` means the
    weights without adapter. `models` are names of the model registry; each is loaded as a further model.
    """

    adapters: OfTaskTypes = field(default_factory=OfTaskTypes)
    models: OfTaskTypes = field(default_factory=OfTaskTypes)

    def __post_init__(self) -> None:
        for task_type in TaskType:
            if self.adapters.of(task_type) and self.models.of(task_type):
                raise ValueError(
                    f"adapters and models both name something for "
                    f"{task_type.name.lower()}: an adapter is for the weights of engine, so remove one of them"
                )


@checked
class ReasoningSettings:
    """The model that writes reasoning for multiple-choice questions before they are answered.

    `source` is `none`, `own` for the model of `engine`, or a name of the model registry, which is loaded as a further
    model. It writes up to `words` words for questions of `kinds`, in at most `share` of a batch's seconds.
    """

    source: str = NO_REASONING
    words: Positive = 50
    kinds: tuple[Literal["choice", "rating"], ...] = ("choice",)
    share: Share = 0.4


@checked
class Settings:
    """All settings; `batch_size` is the value of `get_batch_size`, 1 to 16."""

    batch_size: Annotated[int, Field(ge=1, le=16)] = 16
    engine: EngineSettings = field(default_factory=EngineSettings)
    prompts: PromptSettings = field(default_factory=PromptSettings)
    clock: ClockSettings = field(default_factory=ClockSettings)
    knowledge: KnowledgeSettings = field(default_factory=KnowledgeSettings)
    cooperation: CooperationSettings = field(default_factory=CooperationSettings)
    reasoning: ReasoningSettings = field(default_factory=ReasoningSettings)


def load_settings(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a settings file: `path`, else the file that SHOPALIGN_SETTINGS names, else the default file.

    In the environment, SHOPALIGN_MODEL replaces `engine.model`, SHOPALIGN_WEIGHTS `engine.weights`, SHOPALIGN_ADAPTER
    `engine.adapter`. Other weights have no adapter unless one is named, because an adapter belongs to its base.

    Raises:
        UserError: the file is missing, is not YAML, or holds an unknown key, a value of the wrong type, or the name of
            a model, an engine, a chat template or a variant that does not exist.
    """
    path = path or settings_file(environment)
    values = read_mapping(path, "the settings", f"name a file by {FILE_VARIABLE}")
    given = values.get("engine", {})
    if isinstance(given, dict):
        named = environment.get(MODEL_VARIABLE)
        model = named or given.get("model", DEFAULT_MODEL)
        where = f"the environment variable {MODEL_VARIABLE}" if named else f"{path}: engine.model"
        values["engine"] = with_entry(given, _entry(str(model), where))
    settings = build(Settings, values, f"{path}: ")
    for field_name, model in vars(settings.cooperation.models).items():
        if model:
            _entry(model, f"{path}: cooperation.models.{field_name}")
    if settings.reasoning.source not in (NO_REASONING, OWN_REASONING):
        _entry(settings.reasoning.source, f"{path}: reasoning.source")
    _check_names(settings, path)
    return dataclasses.replace(settings, engine=_with_variables(settings.engine, environment))


def _check_names(settings: Settings, path: Path) -> None:
    """Check that the engine, the chat template and the variants of prompts exist; an error names the file."""
    try:
        check_names(settings.engine)
        check_variants(settings.prompts)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _entry(model: str, where: str) -> ModelEntry:
    """Return the registry's entry of a model; the error about a missing one begins with the place that names it."""
    try:
        return model_entry(model)
    except UserError as error:
        raise UserError(f"{where} is {model!r}: {error}") from None


def settings_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file that SHOPALIGN_SETTINGS names, else the default file."""
    named = environment.get(FILE_VARIABLE)
    return Path(named) if named else DEFAULT_FILE


def _with_variables(engine: EngineSettings, environment: Mapping[str, str]) -> EngineSettings:
    """Return the engine's settings with the values of the environment variables."""
    weights, adapter = environment.get(WEIGHTS_VARIABLE), environment.get(ADAPTER_VARIABLE)
    if weights:
        engine = dataclasses.replace(engine, weights=weights, adapter="")
    return dataclasses.replace(engine, adapter=adapter_name(adapter or engine.adapter))
