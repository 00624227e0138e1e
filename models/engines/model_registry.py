"""The registry of models: the settings of each model, and its shape, from which its size and speed are computed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from utilities.errors import UserError
from utilities.typed_yaml import Positive, build, checked, read_mapping

FOLDER = Path(__file__).resolve().parent
REGISTRY_FILE = FOLDER / "model_registry.yaml"
DEFAULT_MODEL = "smollm2-135m-instruct"
OWN_TEMPLATE = "own"
AWQ_GROUP = 128
Scoring = Literal["label", "text", "pmi", "decode"]
"""The ways to score options."""

_BYTES = {"auto": 4, "float32": 4, "float16": 2, "bfloat16": 2}
_AWQ_BYTES = 0.5 + (2.0 + 0.5) / AWQ_GROUP
"""Bytes of a weight in 4 bits, with its part of its group's scale (2 bytes) and zero point (4 bits)."""


@checked
class ModelShape:
    """A decoder's dimensions, from its published config.json.

    `head_size` is the size of one attention head, `vocabulary` the number of rows of the embedding matrix with its
    padding. With `tied_embeddings` the vocabulary projection is the embedding matrix. `kv_heads` must divide `heads`.
    """

    architecture: Literal["llama", "mistral", "qwen2", "phi3"]
    layers: Positive
    hidden_size: Positive
    intermediate_size: Positive
    heads: Positive
    kv_heads: Positive
    head_size: Positive
    vocabulary: Positive
    tied_embeddings: bool = False

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads is {self.kv_heads}; it must divide heads, {self.heads}")

    @property
    def linear_parameters(self) -> int:
        """Weights of the blocks' matrices: queries, keys, values, output, gate, up and down, without biases."""
        attention = 2 * self.hidden_size * self.head_size * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden_size * self.intermediate_size)

    @property
    def vocabulary_parameters(self) -> int:
        """Weights of the projection onto the vocabulary."""
        return self.vocabulary * self.hidden_size

    @property
    def other_parameters(self) -> int:
        """Norms, Qwen2's biases of queries, keys and values, the embedding, and the projection unless it is tied."""
        biases = self.head_size * (self.heads + 2 * self.kv_heads) if self.architecture == "qwen2" else 0
        norms = (2 * self.layers + 1) * self.hidden_size
        return norms + self.layers * biases + self.vocabulary_parameters * (1 if self.tied_embeddings else 2)

    @property
    def parameters(self) -> int:
        """All weights of the dense model."""
        return self.linear_parameters + self.other_parameters


@checked
class ModelEntry:
    """One model: its folder, how it is run, and how it answers.

    `weights` is a folder relative to the repository, `source` the hub's repository with its files. `context_length` is
    in tokens, `tensor_parallel` the number of GPUs that share every matrix; it must divide the heads. `EngineSettings`
    explains `adapter`, `chat_template`, `choice`, `selection` and `spans`.
    """

    name: str
    weights: str
    source: str
    engine: Literal["transformers", "vllm"]
    dtype: Literal["auto", "float32", "float16", "bfloat16"]
    quantisation: Literal["none", "awq"]
    chat_template: str
    context_length: Positive
    tensor_parallel: Positive
    choice: Scoring
    selection: Scoring
    spans: Literal["score", "write"]
    shape: ModelShape
    adapter: str = ""

    def __post_init__(self) -> None:
        if self.shape.heads % self.tensor_parallel or self.shape.kv_heads % self.tensor_parallel:
            raise ValueError(
                f"tensor_parallel is {self.tensor_parallel}; it must divide heads and kv_heads, "
                f"{self.shape.heads} and {self.shape.kv_heads}"
            )
        if self.chat_template not in _templates():
            raise ValueError(f"chat_template is {self.chat_template!r}; choose one of: {', '.join(_templates())}")

    @property
    def value_bytes(self) -> int:
        """Bytes of one value of `dtype`, the type of activations, keys, values and unquantised weights."""
        return _BYTES[self.dtype]

    @property
    def block_bytes(self) -> int:
        """Bytes of the blocks' matrices."""
        return round(self.shape.linear_parameters * (_AWQ_BYTES if self.quantisation == "awq" else self.value_bytes))

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights in memory; AWQ does not pack embeddings, norms and biases."""
        return self.block_bytes + self.shape.other_parameters * self.value_bytes

    @property
    def kv_bytes_a_token(self) -> int:
        """Bytes of one token's keys and values in all layers."""
        return 2 * self.shape.layers * self.shape.kv_heads * self.shape.head_size * self.value_bytes


def read_registry(path: Path = REGISTRY_FILE) -> Mapping[str, ModelEntry]:
    """Read all entries, by name, in the order of the file.

    Raises:
        UserError: the file cannot be read, or an entry has an unknown, missing or wrong field.
    """
    content = read_mapping(path, "the entries", "restore the file")
    entries = {}
    for name, values in content.items():
        where = f"{path}: {name}."
        if not isinstance(values, dict):
            raise UserError(f"{where[:-1]} is {values!r}; an entry is a block of fields and values")
        entries[str(name)] = build(ModelEntry, {"name": str(name), **values}, where, "field")
    return entries


def model_entry(name: str, path: Path = REGISTRY_FILE) -> ModelEntry:
    """Return the entry of this name.

    Raises:
        UserError: there is none, or the registry cannot be read.
    """
    entries = read_registry(path)
    if name not in entries:
        raise UserError(f"{path}: there is no model {name!r}; choose one of: {', '.join(entries)}")
    return entries[name]


def template_text(name: str) -> str | None:
    """Return the chat template of this name; None for `own`, the template of the model's tokenizer.

    Raises:
        UserError: the package has no such template.
    """
    if name not in _templates():
        raise UserError(f"engine.chat_template is {name!r}; choose one of: {', '.join(_templates())}")
    file = _templates()[name]
    return None if file is None else file.read_text(encoding="utf-8")


def _templates() -> dict[str, Path | None]:
    """Return the file of each chat template by its name; None for the tokenizer's own."""
    files = sorted((FOLDER / "chat_templates").glob("*.jinja"))
    return {OWN_TEMPLATE: None, **{file.stem: file for file in files}}
