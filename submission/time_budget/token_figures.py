"""The tokenizer that a model's prompts are counted with: its own where it is at hand, else the default model's."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.engines.model_registry import DEFAULT_MODEL, ModelEntry, template_text
from models.engines.settings import weights_folder
from models.engines.weights import missing_weights_message
from models.settings import load_settings
from utilities.errors import UserError
from utilities.files import ROOT

# Characters a token of all prompts of data/development.json. The middle figure is that of a vocabulary of 32,768 tokens
# of the same kind, the last that of one of 131,072: both stand in for vocabularies of about their size.
_DEFAULT_DENSITY, _SMALL_DENSITY, _LARGE_DENSITY = 2.72, 2.79, 3.18
_SMALL, _LARGE = 40_000, 100_000


@dataclass(frozen=True)
class Counting:
    """A tokenizer, how many times as many tokens the model's own makes, and what a reader must know of both."""

    tokenizer: Any
    scale: float
    statement: str


def counting_for(entry: ModelEntry) -> Counting:
    """Return how the model's prompts are counted.

    Raises:
        UserError: neither its own tokenizer nor the default model's is there.
    """
    default = weights_folder(load_settings().engine)
    own = default if entry.name == DEFAULT_MODEL else ROOT / entry.weights
    if (own / "tokenizer_config.json").is_file():
        return Counting(load_tokenizer(own, entry), 1.0, "counted with the model's own tokenizer")
    if not (default / "tokenizer_config.json").is_file():
        raise UserError(missing_weights_message(default))
    density = _density(entry.shape.vocabulary)
    statement = (
        f"counted with the default model's tokenizer x {_DEFAULT_DENSITY / density:.3f}: {_DEFAULT_DENSITY} characters "
        f"a token with it, about {density} with a vocabulary of {entry.shape.vocabulary:,} tokens"
    )
    return Counting(load_tokenizer(default, entry), _DEFAULT_DENSITY / density, statement)


def _density(vocabulary: int) -> float:
    if vocabulary <= _SMALL:
        return _SMALL_DENSITY
    return _LARGE_DENSITY if vocabulary >= _LARGE else _DEFAULT_DENSITY


def load_tokenizer(folder: Path, entry: ModelEntry) -> Any:
    """Return the tokenizer of a folder, with the chat template that the package ships for the model, if it does."""
    from transformers import AutoTokenizer

    load: Callable[..., Any] = AutoTokenizer.from_pretrained
    tokenizer = load(folder, local_files_only=True, trust_remote_code=False)
    tokenizer.chat_template = template_text(entry.chat_template) or tokenizer.chat_template
    return tokenizer
