import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.engines.model_registry import (
    AWQ_GROUP,
    DEFAULT_MODEL,
    REGISTRY_FILE,
    ModelEntry,
    ModelShape,
    model_entry,
    read_registry,
    template_text,
)
from models.engines.settings import SCORINGS, EngineSettings
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.typed_yaml import build, checked

ENTRIES = read_registry()
PUBLISHED = {
    "smollm2-135m-instruct": 134.5e6,
    "llama3-70b-awq": 70.6e9,
    "llama3-8b": 8.03e9,
    "ecellm-l": 13.0e9,
    "ecellm-m": 7.24e9,
    "wizard-vicuna-30b-uncensored-awq": 32.5e9,
    "qwen1.5-14b": 14.2e9,
    "phi-3-mini": 3.82e9,
    "qwen2-7b": 7.62e9,
    "qwen2-72b-awq": 72.7e9,
}
every_entry = pytest.mark.parametrize("entry", [pytest.param(entry, id=name) for name, entry in ENTRIES.items()])


def config_of(shape: ModelShape) -> Any:
    """Return the transformers configuration of this shape."""
    from transformers import AutoConfig

    return AutoConfig.for_model(
        shape.architecture,
        num_hidden_layers=shape.layers,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_size,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.tied_embeddings,
        pad_token_id=0,
    )


def render(entry: ModelEntry, *messages: tuple[str, str]) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    chat = [{"role": role, "content": content} for role, content in messages]
    found: Any = render_jinja_template(
        [chat],
        chat_template=template_text(entry.chat_template),
        add_generation_prompt=True,
        bos_token="<s>",
        eos_token="</s>",
    )
    return str(found[0][0])


def written(tmp_path: Path, change: dict[str, Any], shape: dict[str, Any] | None = None) -> Path:
    """Write a registry of one entry with some of its fields changed; None takes a field out."""
    entry = yaml.safe_load(REGISTRY_FILE.read_text(encoding="utf-8"))["llama3-8b"]
    entry["shape"].update(shape or {})
    entry = {key: value for key, value in {**entry, **change}.items() if value is not None}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"mine": entry}), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_registry(path)
    return str(caught.value)


def test_every_model_of_the_method_is_there() -> None:
    assert list(ENTRIES) == list(PUBLISHED)


@every_entry
def test_the_parameters_are_the_published_ones(entry: ModelEntry) -> None:
    assert entry.shape.parameters == pytest.approx(PUBLISHED[entry.name], rel=0.01)


@pytest.mark.slow
@every_entry
def test_transformers_counts_the_same_parameters_in_a_model_of_two_layers(entry: ModelEntry) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    shape = dataclasses.replace(entry.shape, layers=2)
    kind: Any = AutoModelForCausalLM
    with torch.device("meta"):
        model = kind.from_config(config_of(shape))
    assert model.num_parameters() == shape.parameters
    linear = sum(module.weight.numel() for module in model.base_model.modules() if isinstance(module, torch.nn.Linear))
    assert linear == shape.linear_parameters


@every_entry
def test_the_gpus_can_share_every_matrix(entry: ModelEntry) -> None:
    shape, parts = entry.shape, entry.tensor_parallel
    assert shape.heads % parts == shape.kv_heads % parts == shape.vocabulary % parts == 0
    group = AWQ_GROUP if entry.quantisation == "awq" else 1
    assert shape.intermediate_size % (parts * group) == shape.hidden_size % (parts * group) == 0


@every_entry
def test_the_weights_fit_four_gpus_of_sixteen_gigabytes(entry: ModelEntry) -> None:
    assert entry.weight_bytes / entry.tensor_parallel < 15e9 - 1e9


@every_entry
def test_every_way_to_score_is_one_that_the_settings_know(entry: ModelEntry) -> None:
    assert {entry.choice, entry.selection} <= set(SCORINGS)


def test_llama3_70b_in_four_bits_has_the_size_that_was_worked_out_by_hand() -> None:
    """Blocks: 68.45e9 x (4 bits + 20 bits a group of 128); embedding and projection: 2 x 1.05e9 x 2 bytes."""
    assert model_entry("llama3-70b-awq").weight_bytes == pytest.approx(34.23e9 + 1.337e9 + 4.203e9, rel=0.001)


def test_the_cache_of_llama3_70b_takes_320_kib_a_token() -> None:
    assert model_entry("llama3-70b-awq").kv_bytes_a_token == 320 * 1024


def test_the_default_model_is_the_default_of_the_settings() -> None:
    entry, settings = model_entry(DEFAULT_MODEL), EngineSettings()
    assert (entry.engine, entry.weights, entry.dtype) == (settings.name, settings.weights, settings.dtype)
    assert (entry.choice, entry.selection) == (settings.choice, settings.selection)


def test_the_default_model_has_the_shape_of_its_own_config() -> None:
    file = ROOT / model_entry(DEFAULT_MODEL).weights / "config.json"
    if not file.is_file():
        pytest.skip("the default weights are not here")
    config = json.loads(file.read_text(encoding="utf-8"))
    shape = model_entry(DEFAULT_MODEL).shape
    assert (config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"], config["vocab_size"]) == (
        (shape.layers, shape.hidden_size, shape.intermediate_size, shape.vocabulary)
    )
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (shape.heads, shape.kv_heads)
    assert config["tie_word_embeddings"] == shape.tied_embeddings


@pytest.mark.slow
@every_entry
def test_a_shipped_chat_template_shows_every_message_once_and_lets_the_model_speak(entry: ModelEntry) -> None:
    if template_text(entry.chat_template) is None:
        pytest.skip("the tokenizer brings its own")
    text = render(entry, ("system", "You help."), ("user", "Which one?"))
    assert text.startswith("<s>")
    assert text.count("You help.") == text.count("Which one?") == text.count("<s>") == 1
    assert text.index("You help.") < text.index("Which one?") < len(text) - len("Which one?")
    assert "Which one?" in render(entry, ("user", "Which one?"))


@pytest.mark.slow
def test_the_vicuna_format_is_the_published_one() -> None:
    text = render(model_entry("wizard-vicuna-30b-uncensored-awq"), ("system", "A chat."), ("user", "Hello?"))
    assert text == "<s>A chat. USER: Hello? ASSISTANT:\n"


@pytest.mark.slow
def test_ecellm_is_asked_in_the_formats_that_it_was_tuned_on() -> None:
    chat = ("system", "Rank them."), ("user", "1, 2, 3")
    body = "### Instruction:\nRank them.\n\n### Input:\n1, 2, 3\n\n"
    assert render(model_entry("ecellm-l"), *chat).endswith(f"request.\n\n{body}### Response:\n")
    assert render(model_entry("ecellm-m"), *chat).endswith(f"request.\n\n{body} [/INST] ### Response:\n")


@pytest.mark.slow
def test_an_earlier_answer_ends_its_turn() -> None:
    chat = ("user", "One?"), ("assistant", "Yes."), ("user", "Two?")
    text = render(model_entry("wizard-vicuna-30b-uncensored-awq"), *chat)
    assert text == "<s>USER: One? ASSISTANT: Yes.</s>USER: Two? ASSISTANT:\n"


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"model_registry\.yaml: there is no model 'gpt-2'; choose one of: smollm2"):
        model_entry("gpt-2")


@pytest.mark.parametrize(
    ("change", "shape", "said"),
    [
        ({"colour": "red"}, {}, "mine.unknown field colour; known ones: name, weights"),
        ({"dtype": None}, {}, "mine.dtype: not given; add a line for each"),
        ({"dtype": "float64"}, {}, "mine.dtype is 'float64'; choose one of: auto, float32, float16, bfloat16"),
        ({"context_length": "long"}, {}, "mine.context_length is 'long'; it must be a whole number"),
        ({"context_length": True}, {}, "mine.context_length is True; it must be a whole number"),
        ({"tensor_parallel": 3}, {}, "mine.tensor_parallel is 3; it must divide heads and kv_heads, 32 and 8"),
        ({"tensor_parallel": 0}, {}, "mine.tensor_parallel is 0; it must be at least 1"),
        ({"chat_template": "klingon"}, {}, "mine.chat_template is 'klingon'; choose one of: own, alpaca,"),
        ({"shape": 7}, {}, "mine.shape is 7; it should be a mapping of fields to values"),
        ({}, {"layers": 0}, "mine.shape.layers is 0; it must be at least 1"),
        ({}, {"kv_heads": 5}, "mine.shape.kv_heads is 5; it must divide heads, 32"),
        ({}, {"architecture": "gpt2"}, "mine.shape.architecture is 'gpt2'; choose one of: llama, mistral"),
    ],
)
def test_a_wrong_entry_is_refused_in_one_sentence_that_names_file_entry_and_field(
    tmp_path: Path, change: dict[str, Any], shape: dict[str, Any], said: str
) -> None:
    path = written(tmp_path, change, shape)
    message = refusal(path)
    assert message.startswith(f"{path}: {said}")
    assert "\n" not in message


@pytest.mark.parametrize(("text", "said"), [("- a\n", "not a list"), ("a: [", "not YAML"), ("a: 3\n", "a is 3;")])
def test_a_file_that_is_no_registry_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    assert str(path) in refusal(path)
    assert said in refusal(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "nowhere.yaml")


@checked
class Part:
    size: float


@checked
class Whole:
    parts: tuple[Part, ...] = ()
    pair: tuple[int, str] = (1, "a")
    note: str | None = None


def test_tuples_optional_values_and_nested_dataclasses_are_read() -> None:
    values = {"parts": [{"size": 1}, {"size": 2.5}], "pair": [3, "b"], "note": None}
    assert build(Whole, values, "here: ") == Whole((Part(1.0), Part(2.5)), (3, "b"), None)
    assert build(Whole, {"note": "x"}, "here: ").note == "x"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"parts": [{"size": "big"}]}, "here: parts[0].size is 'big'; it must be a number"),
        ({"parts": 3}, "here: parts is 3; it must be a list"),
        ({"pair": [1]}, "here: pair[1]: not given; add a line for each"),
        ({"note": 4}, "here: note is 4; it must be a text"),
    ],
)
def test_a_wrong_value_inside_is_named_by_its_whole_path(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        build(Whole, values, "here: ")
    assert str(caught.value) == said
