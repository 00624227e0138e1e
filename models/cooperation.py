"""Model cooperation: several models and adapters, each answering its own task types or writing reasoning."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.engines.interface import Answer, Engine, Usage
from models.engines.process.supervised import start_engine
from models.engines.registry import check_engine
from models.engines.settings import EngineSettings, adapter_name, engine_identity, settings_of_entry
from models.scheduling.asking import Asking, Missing
from models.scheduling.clock import Allowance
from models.settings import NO_REASONING, OWN_REASONING, CooperationSettings, Settings
from prompts.prompt import Prompt
from utilities.grouping import grouped, in_order
from utilities.task_type import TaskType

Answerer = tuple[str, str | None]
"""The name of a model, empty for the model of the settings; and an adapter, None for the model's own."""


@dataclass(frozen=True)
class _Member:
    """One loaded model."""

    engine: Engine
    settings: EngineSettings
    asking: Asking


class Team:
    """The model of the settings, and further models that answer some task types or write reasoning."""

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        """Start every model; a given `engine` replaces the engine of the settings.

        Raises:
            UserError: weights or adapters are missing, or a model does not start.
        """
        self._answerers = {task_type: answerer(settings.cooperation, task_type) for task_type in TaskType}
        self._members: dict[str, _Member] = {}
        for name, wanted in engine_settings(settings).items():
            started = engine if engine and not name else start_engine(wanted)
            self._members[name] = _Member(started, wanted, Asking(started, wanted, settings.clock))

    def assigned(self, prompt: Prompt, task_type: TaskType) -> Prompt:
        """Return the prompt with the model and the adapter that answer its task type."""
        model, adapter = self._answerers[task_type]
        return prompt if (model, adapter) == ("", None) else replace(prompt, model=model, adapter=adapter)

    def answers(self, prompts: Sequence[Prompt], allowance: Allowance) -> list[Answer | Missing]:
        """Return an answer for every prompt, or the reason for a missing answer, before the allowance's limit.

        Models are asked one after the other; each gets the share of its prompts in the remaining time.
        """
        left = len(prompts)

        def answered(name: str, indices: Sequence[int]) -> list[Answer | Missing]:
            nonlocal left
            share, left = len(indices) / left, left - len(indices)
            chosen = [prompts[index] for index in indices]
            return self._members[name].asking.answers(chosen, part_of(allowance, share))

        return in_order(grouped([prompt.model for prompt in prompts]), answered)

    def settings_of(self, prompt: Prompt) -> EngineSettings:
        """Return the settings of the model that answers a prompt."""
        return self._members[prompt.model].settings

    def usage(self) -> Usage:
        """Return the running totals of all models."""
        usages = [asdict(member.engine.usage()) for member in self._members.values()]
        return Usage(**{name: sum(usage[name] for usage in usages) for name in usages[0]})

    @property
    def events(self) -> Counter[str]:
        """Events by kind, summed over the models."""
        total: Counter[str] = Counter()
        for member in self._members.values():
            total += member.asking.events + Counter(getattr(member.engine, "events", {}))
        return total

    def describe(self) -> dict[str, Any]:
        """Return weights and speed of the model of the settings, and of each further model by its name."""
        own, *beside = (_described(member) for member in self._members.values())
        names = list(self._members)[1:]
        return {**own, "beside": dict(zip(names, beside, strict=True))} if beside else own


def answerer(cooperation: CooperationSettings, task_type: TaskType) -> Answerer:
    """Return the model and the adapter that answer a task type."""
    model, adapter = cooperation.models.of(task_type), cooperation.adapters.of(task_type)
    return model, adapter_name(adapter) if adapter else None


def engine_settings(settings: Settings) -> dict[str, EngineSettings]:
    """Return the settings of each model by its name in `Prompt.model`, the model of the settings first."""
    given = [answerer(settings.cooperation, task_type) for task_type in TaskType]
    adapters = [adapter for _, adapter in given if adapter is not None]
    own = replace(settings.engine, adapters=tuple(dict.fromkeys((*settings.engine.adapters, *adapters))))
    models = dict.fromkeys(model for model in (*(model for model, _ in given), reasoning_model(settings)) if model)
    return {"": own, **{model: settings_of_entry(model, settings.engine) for model in models}}


def check_engines(settings: Settings, engine: Engine | None = None) -> None:
    """Check the files of every model before any is started; a given `engine` replaces the engine of the settings.

    Raises:
        UserError: weights or adapters are missing or damaged.
    """
    for name, wanted in engine_settings(settings).items():
        if name or engine is None:
            check_engine(wanted)


def reasoning_model(settings: Settings) -> str:
    """Return the name in `Prompt.model` of the model that writes reasoning; empty for the model of the settings.

    A second model with the same weights and adapter as the model of the settings is not loaded a second time.
    """
    source, engine = settings.reasoning.source, settings.engine
    if source in (NO_REASONING, OWN_REASONING):
        return ""
    entry = settings_of_entry(source, engine)
    same = (entry.model, entry.weights, entry.adapter) == (engine.model, engine.weights, engine.adapter)
    return "" if same and source not in vars(settings.cooperation.models).values() else source


def identities(settings: Settings) -> dict[Answerer, dict[str, str]]:
    """Return the identity of the model and adapter of each task type (`models.engines.settings.engine_identity`)."""
    engines = engine_settings(settings)
    found: dict[Answerer, dict[str, str]] = {}
    for model, adapter in dict.fromkeys(answerer(settings.cooperation, task_type) for task_type in TaskType):
        engine = engines[model]
        found[model, adapter] = engine_identity(engine if adapter is None else replace(engine, adapter=adapter))
    return found


def part_of(allowance: Allowance, share: float) -> Allowance:
    """Return an allowance with a share of the remaining seconds; the last model gets all of them."""
    gone = time.monotonic() - allowance.began
    return replace(
        allowance,
        seconds=gone + share * max(allowance.seconds - gone, 0.0),
        limit=gone + share * max(allowance.limit - gone, 0.0),
    )


def _described(member: _Member) -> dict[str, Any]:
    weights = dict(member.engine.describe())
    # Measured rates differ from run to run, so they must not be part of the description that identifies a run.
    rates = weights.pop("rates", None)
    speed = {**asdict(member.engine.usage()), **member.asking.speed.to_json()}
    return {"weights": weights, "speed": {**speed, "rates": rates} if rates else speed}
