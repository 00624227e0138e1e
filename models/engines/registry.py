"""Engines by the name that the settings give; adding one is its file and a line here."""

from collections.abc import Callable, Mapping

from models.engines.adapter_config import check_adapter
from models.engines.interface import Engine
from models.engines.model_registry import model_entry, template_text
from models.engines.scripted import ScriptedEngine
from models.engines.settings import EngineSettings, adapter_folders, weights_folder
from models.engines.weights_folder import check_model
from utilities.errors import UserError


def _transformers(settings: EngineSettings) -> Engine:
    # Loading torch takes seconds: a scripted engine must not wait for it.
    from models.engines.transformers_engine.engine import TransformersEngine

    return TransformersEngine(weights_folder(settings), settings)


def _vllm(settings: EngineSettings) -> Engine:
    from models.engines.vllm_engine.engine import VllmEngine

    return VllmEngine(weights_folder(settings), settings)


ENGINES: Mapping[str, Callable[[EngineSettings], Engine]] = {
    "transformers": _transformers,
    "vllm": _vllm,
    "scripted": lambda _: ScriptedEngine(),
}

_OTHER_ADAPTER = "copy one there, or set engine.adapter or the setting in cooperation.adapters to none"
WITHOUT_WEIGHTS = ("scripted",)
"""Engines that load no model and need no separate process."""


def create_engine(settings: EngineSettings) -> Engine:
    """Make the engine that the settings name, in this process.

    Raises:
        UserError: there is no such engine, or its weights are missing.
    """
    check_engine(settings)
    return ENGINES[settings.name](settings)


def check_names(settings: EngineSettings) -> None:
    """Check that the engine and the chat template that the settings name exist.

    Raises:
        UserError: one of them does not exist.
    """
    if settings.name not in ENGINES:
        raise UserError(f"engine.name is {settings.name!r}; choose one of: {', '.join(ENGINES)}")
    template_text(settings.chat_template)


def check_engine(settings: EngineSettings) -> None:
    """Check the names of the settings, and that weights and adapters exist and are not damaged.

    Raises:
        UserError: something is missing or damaged.
    """
    check_names(settings)
    if settings.name in WITHOUT_WEIGHTS:
        return
    check_model(weights_folder(settings), model_entry(settings.model).source)
    for folder in adapter_folders(settings).values():
        if folder is not None:
            check_adapter(folder, _OTHER_ADAPTER)
