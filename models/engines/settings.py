"""The settings of an engine, and the folders of weights and adapters that they name."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from models.engines.adapter_config import holds_adapter
from models.engines.model_registry import DEFAULT_MODEL, OWN_TEMPLATE, ModelEntry, Scoring, model_entry
from prompts.prompt import AnswerSpace, Choice, Selection, Spans
from utilities.files import ROOT
from utilities.fingerprint import fingerprint_of_both
from utilities.typed_yaml import Positive, Share, build, checked

NO_ADAPTER = "none"
AUTO = "auto"
FROM_REGISTRY = ("weights", "adapter", "dtype", "chat_template", "choice", "selection", "spans")
"""Settings that come from the registry's entry of `model` if the settings file leaves them out."""

SCORINGS: tuple[str, ...] = get_args(Scoring)
LABEL, TEXT, PMI, DECODE, SPANS, COPY, WRITE = "label", "text", "pmi", "decode", "spans", "copy", "write"
"""The ways to answer, by `models.engines.answering.solvers`."""
TokenLimit = Annotated[int, Field(ge=64)]
_GPU_TOKENS = 4096
_ANSWER_TOKENS = 256


@checked
class VllmSettings:
    """Settings of the vLLM engine alone: parallelism over GPUs and machines, and memory.

    Attributes:
        tensor_parallel: GPUs that share every layer; the number must divide the model's attention heads.
        pipeline_parallel: groups of GPUs that share the layers; over several machines with `distributed_backend` ray.
        data_parallel: replicas of the whole model, each on other GPUs.
        distributed_backend: `mp` for processes of one machine, `ray` for a Ray cluster, `auto` for vLLM's choice.
        max_model_len: most tokens of a prompt with its answer; the key-value cache must hold one such prompt.
        memory_fraction: share of each GPU's memory (on a CPU, of main memory) for weights and key-value cache.
        prefix_caching: whether the common prefix of prompts is computed once and kept.
        enforce_eager: true captures no CUDA graphs: a quicker start and less memory, slower decoding.
    """

    tensor_parallel: Positive = 1
    pipeline_parallel: Positive = 1
    data_parallel: Positive = 1
    distributed_backend: Literal["auto", "mp", "ray"] = "auto"
    max_model_len: Annotated[int, Field(ge=256)] = 4096
    memory_fraction: Share = 0.9
    prefix_caching: bool = True
    enforce_eager: bool = False


@checked
class EngineSettings:
    """How one model is run; a value that the settings file leaves out comes from the registry's entry of `model`.

    Attributes:
        model: an entry of models/engines/model_registry.yaml.
        name: the engine, one of `models.engines.registry.ENGINES`.
        weights: a folder in Hugging Face layout, relative to the repository.
        adapter: the folder of a LoRA adapter for these weights in peft's layout, empty for none.
        adapters: further adapters that prompts may name.
        dtype: the type of weights and activations; `auto` takes bfloat16 if the processor or the GPU has units for it,
            else float32 on a CPU and float16 on a GPU.
        device: `auto` takes all GPUs, or the CPU if there is none.
        chat_template: `own` for the tokenizer's, else the name of a file of models/engines/chat_templates.
        awq: how 4-bit weights are multiplied: packed by `kernels`, made `dense` at loading, or `auto`, the faster of
            the two on the device.
        choice: how one option is chosen: `label` by the probability of its number, `text` by the mean log-probability
            of its text, `pmi` by the gain of that mean through the question, `decode` by constrained decoding of its
            number.
        selection: how several options are chosen, by the same ways.
        spans: how phrases of the question are found: `score` compares their probabilities, `write` writes them and
            looks them up in the question.
        token_budget: most tokens of a padded batch.
        max_prompt_tokens: most tokens of one prompt.
        vllm: settings of the vLLM engine.
    """

    model: str = DEFAULT_MODEL
    name: str = "transformers"
    weights: str = "models/weights/smollm2-135m-instruct"
    adapter: str = ""
    adapters: tuple[str, ...] = ()
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    chat_template: str = OWN_TEMPLATE
    awq: Literal["auto", "kernels", "dense"] = "auto"
    choice: Scoring = "pmi"
    selection: Scoring = "pmi"
    spans: Literal["score", "write"] = "score"
    token_budget: TokenLimit = 1024
    max_prompt_tokens: TokenLimit = 2048
    vllm: VllmSettings = field(default_factory=VllmSettings)


def way_of(space: AnswerSpace, settings: EngineSettings) -> str:
    """Return the way to answer that the settings select for an answer space.

    Options without texts, such as the steps of a rating, are scored by their labels.
    """
    if isinstance(space, Choice | Selection):
        way = settings.choice if isinstance(space, Choice) else settings.selection
        return LABEL if way in (TEXT, PMI) and not space.texts else way
    if isinstance(space, Spans):
        return COPY if settings.spans == WRITE else SPANS
    return WRITE


def with_entry(given: Mapping[str, Any], entry: ModelEntry) -> dict[str, Any]:
    """Return the settings that a file gives for the engine, with the missing ones from the registry's entry."""
    known: dict[str, Any] = {name: getattr(entry, name) for name in FROM_REGISTRY}
    if given.get("weights", entry.weights) != entry.weights:
        known["adapter"] = ""
    known["name"] = entry.engine
    known["token_budget"] = _GPU_TOKENS if entry.engine == "vllm" else EngineSettings.token_budget
    known["max_prompt_tokens"] = min(EngineSettings.max_prompt_tokens, entry.context_length - _ANSWER_TOKENS)
    vllm = given.get("vllm", {})
    if isinstance(vllm, dict):
        longest = min(VllmSettings.max_model_len, entry.context_length)
        vllm = {"tensor_parallel": entry.tensor_parallel, "max_model_len": longest, **vllm}
    return {**known, **given, "model": entry.name, "vllm": vllm}


def settings_of_entry(model: str, like: EngineSettings) -> EngineSettings:
    """Return the settings of a model of the registry; device, AWQ and vLLM's memory are those of `like`.

    Raises:
        UserError: the registry has no such model.
    """
    kept = ("distributed_backend", "memory_fraction", "prefix_caching", "enforce_eager")
    vllm = {name: getattr(like.vllm, name) for name in kept}
    values = with_entry({"device": like.device, "awq": like.awq, "vllm": vllm}, model_entry(model))
    return build(EngineSettings, values, f"{model}: ")


def weights_folder(settings: EngineSettings) -> Path:
    """Return the folder of the weights; a relative one lies in the repository."""
    return ROOT / Path(settings.weights).expanduser()


def adapter_name(given: str) -> str:
    """Return an adapter's name, which is its folder as the settings write it; empty for none."""
    return "" if given == NO_ADAPTER else given


def adapter_folders(settings: EngineSettings) -> dict[str, Path | None]:
    """Return the folder of each adapter by its name, None for none; the engine's own adapter stands first."""
    names = dict.fromkeys((settings.adapter, *settings.adapters))
    return {name: ROOT / Path(name).expanduser() if name else None for name in names}


def engine_identity(settings: EngineSettings) -> dict[str, str]:
    """Return a model's name, adapter, fingerprint (empty if files are missing) and ways of answering options."""
    folder, adapter = weights_folder(settings), adapter_folders(settings)[settings.adapter]
    is_there = (folder / "config.json").is_file() and (adapter is None or holds_adapter(adapter))
    return {
        "model": settings.model,
        "adapter": settings.adapter,
        "weights_sha256": fingerprint_of_both(folder, adapter) if is_there else "",
        "choice": settings.choice,
        "selection": settings.selection,
    }
