"""The models that the package knows: how each one is run, and its shape, from which size and speed follow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from utilities.errors import UserError
from utilities.typed_yaml import build, checked, read_mapping

FOLDER = Path(__file__).resolve().parent
REGISTRY_FILE = FOLDER / "model_registry.yaml"
DEFAULT_MODEL = "smollm2-135m-instruct"
OWN_TEMPLATE = "own"
AWQ_GROUP = 128

_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_AWQ_SCALE_BYTES = 2.0
_AWQ_ZERO_BYTES = 0.5


@checked
class ModelShape:
    """A decoder's dimensions, as its published config.json names them.

    `head_size` is the size of one attention head, `vocabulary` the rows of the embedding matrix, padding included;
    `tied_embeddings` says that the vocabulary projection is the embedding matrix again.

    Raises:
        ValueError: a dimension is not positive, or heads cannot share keys and values evenly.
    """

    architecture: Literal["llama", "mistral", "qwen2", "phi3"]
    layers: int
    hidden_size: int
    intermediate_size: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied_embeddings: bool = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name not in ("architecture", "tied_embeddings") and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads is {self.kv_heads}; it must divide heads, {self.heads}")

    @property
    def linear_parameters(self) -> int:
        """Weights of the blocks' matrices: queries, keys, values, output, gate, up and down, without biases."""
        attention = 2 * self.hidden_size * self.head_size * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden_size * self.intermediate_size)

    @property
    def small_parameters(self) -> int:
        """Norms, and the biases of queries, keys and values that Qwen2 has."""
        biases = self.head_size * (self.heads + 2 * self.kv_heads) if self.architecture == "qwen2" else 0
        return self.layers * (2 * self.hidden_size + biases) + self.hidden_size

    @property
    def vocabulary_parameters(self) -> int:
        """Weights of the projection onto the vocabulary."""
        return self.vocabulary * self.hidden_size

    @property
    def embedding_parameters(self) -> int:
        """Weights of the embedding and of the vocabulary projection, once where they are tied."""
        return self.vocabulary_parameters * (1 if self.tied_embeddings else 2)

    @property
    def parameters(self) -> int:
        """All weights of the dense model."""
        return self.linear_parameters + self.small_parameters + self.embedding_parameters


@checked
class ModelEntry:
    """One model: where it lies, how it is run and how it is asked.

    `weights` is a folder relative to the repository, `source` the hub's repository that it is filled from.
    `chat_template` is `own` for the tokenizer's, else the name of a file of `models/engines/chat_templates`.
    `context_length` is in tokens, `tensor_parallel` the number of GPUs that share every matrix. `choice`, `selection`
    and `spans` say how options and phrases of the question are answered (`EngineSettings`). `adapter` is the folder of
    a LoRA adapter for these weights, relative to the repository, empty for none.

    Raises:
        ValueError: a value is outside its range.
    """

    name: str
    weights: str
    source: str
    engine: Literal["transformers", "vllm"]
    dtype: Literal["float32", "float16", "bfloat16"]
    quantisation: Literal["none", "awq"]
    chat_template: str
    context_length: int
    tensor_parallel: int
    choice: Literal["label", "text", "pmi", "decode"]
    selection: Literal["label", "text", "pmi", "decode"]
    spans: Literal["score", "write"]
    shape: ModelShape
    adapter: str = ""

    def __post_init__(self) -> None:
        for name in ("context_length", "tensor_parallel"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.shape.heads % self.tensor_parallel or self.shape.kv_heads % self.tensor_parallel:
            raise ValueError(
                f"tensor_parallel is {self.tensor_parallel}; it must divide heads and kv_heads, "
                f"{self.shape.heads} and {self.shape.kv_heads}"
            )
        if self.template_file is not None and not self.template_file.is_file():
            raise ValueError(f"chat_template is {self.chat_template!r}; use own, or add {self.template_file}")

    @property
    def template_file(self) -> Path | None:
        """The chat template that the package ships for this model; None where the tokenizer's own is right."""
        return None if self.chat_template == OWN_TEMPLATE else _template_file(self.chat_template)

    @property
    def value_bytes(self) -> int:
        """Bytes of one value in `dtype`, which activations, keys, values and unquantised weights have."""
        return _BYTES[self.dtype]

    @property
    def block_bytes(self) -> int:
        """Bytes of the blocks' matrices; AWQ adds a scale and a zero point for each group of a column."""
        if self.quantisation == "none":
            return self.shape.linear_parameters * self.value_bytes
        a_group = (_AWQ_SCALE_BYTES + _AWQ_ZERO_BYTES) / AWQ_GROUP
        return round(self.shape.linear_parameters * (0.5 + a_group))

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights as they lie in memory; AWQ leaves embeddings, norms and biases alone."""
        rest = self.shape.small_parameters + self.shape.embedding_parameters
        return self.block_bytes + rest * self.value_bytes

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
        UserError: there is none, or the catalogue cannot be read.
    """
    entries = read_registry(path)
    if name not in entries:
        raise UserError(f"{path}: there is no model {name!r}; choose one of: {', '.join(entries)}")
    return entries[name]


def template_text(name: str) -> str | None:
    """Return the chat template of this name; None for `own`, where the tokenizer's is right.

    Raises:
        UserError: the package has no such template.
    """
    if name == OWN_TEMPLATE:
        return None
    try:
        if Path(name).name != name:
            raise OSError("a template lies in its folder")
        return _template_file(name).read_text(encoding="utf-8")
    except OSError:
        known = ", ".join(sorted(path.stem for path in _template_file("*").parent.glob("*.jinja")))
        raise UserError(f"there is no chat template {name!r}; choose one of: {OWN_TEMPLATE}, {known}") from None


def _template_file(name: str) -> Path:
    return FOLDER / "chat_templates" / f"{name}.jinja"
