"""Randomly initialised models of two layers with a tokenizer of their own: every code path, no download, no sense."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.tiny_tokenizer import tiny_tokenizer

WINDOW = 48  # shorter than the prompts of the tests, so that a window that is ignored shows

ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": WINDOW},
    "qwen2": {},
    "phi3": {"sliding_window": WINDOW},
}
"""Model types, and what the tiny models of each have beside what all have."""

_MARKS_WORDS = ("mistral", "phi3")


def save_tiny_model(folder: Path, architecture: str = "llama", *, chat_template: bool = True, **shape: Any) -> None:
    """Save weights and tokenizer in Hugging Face layout; the same bytes every time.

    `shape` replaces fields of the architecture's config.
    """
    tokenizer = tiny_tokenizer(marks_words=architecture in _MARKS_WORDS, chat_template=chat_template)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(20240)
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "initializer_range": 0.25,  # far from uniform, so that no two tokens are equally likely
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **ARCHITECTURES[architecture],
        **shape,
    }
    config: Any = transformers.AutoConfig
    model: Any = transformers.AutoModelForCausalLM
    model.from_config(config.for_model(architecture, **settings)).save_pretrained(folder)


if __name__ == "__main__":
    # Wide enough for groups of 32 inputs, which AWQ needs.
    save_tiny_model(Path(sys.argv[1]), num_hidden_layers=4, hidden_size=128, intermediate_size=192)
