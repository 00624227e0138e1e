"""One engine's answers to a file of questions, in the process and the interpreter that it lives in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from benchmarks.common import Json, model_folder, set_threads, unhurried
from evaluation.loop import predict
from evaluation.questions import QuestionRow, read_questions
from models.engines.interface import Engine
from models.engines.process.warm_up import warm_up
from models.engines.settings import EngineSettings, Scoring
from models.settings import Settings, load_settings
from models.shopbench_model import ShopBenchModel
from utilities.task_type import TaskType

OWN = "settings"
"""The way of answering that the settings name; every other name is a way for questions with numbered options."""

_WITH_OPTIONS = (TaskType.MULTIPLE_CHOICE, TaskType.RETRIEVAL, TaskType.RANKING)
_CPU_MEMORY = 0.25  # vLLM takes its cache at once, and this machine has other tenants


def asked(questions: Sequence[QuestionRow], way: str) -> list[int]:
    """Return the indices of the questions that this way is for."""
    return [index for index, each in enumerate(questions) if way == OWN or each.task_type in _WITH_OPTIONS]


def settings_for(way: str) -> Settings:
    """Return the settings in use, without clock and adapter (llama.cpp gets none), that answer options in this way."""
    settings = unhurried(load_settings())
    settings = replace(settings, engine=replace(settings.engine, adapter=""))
    if way == OWN:
        return settings
    scoring = cast(Scoring, way)
    return replace(settings, engine=replace(settings.engine, choice=scoring, selection=scoring))


def run_engine(name: str, way: str, data: Path, limit: int | None, threads: int, gguf: Path | None) -> Json:
    """Start an engine, ask it all that the way is for, and return answers, seconds, usage and description."""
    set_threads(threads)
    settings = settings_for(way)
    questions = read_questions(data)[:limit]
    chosen = [questions[index] for index in asked(questions, way)]
    engine = _ENGINES[name](settings.engine, {"gguf": gguf, "threads": threads})
    warm_up(engine)
    before = asdict(engine.usage())
    model = ShopBenchModel(settings, engine)
    prediction = predict(model, chosen)
    usage = {field: value - before[field] for field, value in asdict(engine.usage()).items()}
    return {
        "answers": list(prediction.answers),
        "seconds": prediction.seconds,
        "usage": usage,
        "fallbacks": dict(model.fallbacks),
        "described": dict(engine.describe()),
    }


def _transformers(settings: EngineSettings, _: Mapping[str, Any]) -> Engine:
    from models.engines.transformers_engine.engine import TransformersEngine

    return TransformersEngine(model_folder(settings), replace(settings, name="transformers"))


def _vllm(settings: EngineSettings, _: Mapping[str, Any]) -> Engine:
    import torch

    from models.engines.vllm_engine.engine import VllmEngine

    vllm = settings.vllm
    if not torch.cuda.is_available():
        vllm = replace(vllm, memory_fraction=_CPU_MEMORY, enforce_eager=True)
    return VllmEngine(model_folder(settings), replace(settings, name="vllm", vllm=vllm))


def _llama_cpp(settings: EngineSettings, others: Mapping[str, Any]) -> Engine:
    from benchmarks.llama_cpp_engine import LlamaCppEngine

    return LlamaCppEngine(model_folder(settings), settings, others["gguf"], others["threads"])


_ENGINES: Mapping[str, Callable[[EngineSettings, Mapping[str, Any]], Engine]] = {
    "transformers": _transformers,
    "vllm": _vllm,
    "llama.cpp": _llama_cpp,
}
NAMES = tuple(_ENGINES)
