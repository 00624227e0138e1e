"""Engines by the name that the settings give; adding one is its file and a line here."""

from collections.abc import Callable, Mapping

from models.engines.interface import Engine
from models.engines.scripted import ScriptedEngine
from models.settings import EngineSettings, weights_folder
from utilities.errors import UserError
from utilities.weights import holds_model, missing_weights_message


def _transformers(settings: EngineSettings) -> Engine:
    folder = weights_folder(settings)
    if not holds_model(folder):
        raise UserError(missing_weights_message(folder))
    # Loading torch takes seconds: a scripted engine must not wait for it.
    from models.engines.transformers_engine import TransformersEngine

    return TransformersEngine(folder, settings)


ENGINES: Mapping[str, Callable[[EngineSettings], Engine]] = {
    "transformers": _transformers,
    "scripted": lambda _: ScriptedEngine(),
}


def create_engine(settings: EngineSettings) -> Engine:
    """Make the engine that the settings name.

    Raises:
        UserError: there is no such engine, or its weights are missing.
    """
    if settings.name not in ENGINES:
        raise UserError(f"setting engine.name is {settings.name!r}; choose one of: {', '.join(ENGINES)}")
    return ENGINES[settings.name](settings)
