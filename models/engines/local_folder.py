"""A model's folder in Hugging Face layout: the tokenizer and the architecture, which both engines read."""

from pathlib import Path
from typing import Any

import transformers

LOCAL = {"local_files_only": True, "trust_remote_code": False}
"""Arguments of transformers: read local files only, and run no code of a model's folder."""
INSTALL = (
    "pip install -r requirements.txt && pip install --no-build-isolation -r requirements.txt -r requirements-gpu.txt"
)
"""The command that installs the packages for GPUs."""


def model_class(config: Any) -> Any:
    """Return the class of transformers that a model's config names.

    Raises:
        ValueError: this release of transformers has none of that name.
    """
    named = (config.architectures or ["none"])[0]
    if not hasattr(transformers, named):
        raise ValueError(f"its config.json names the architecture {named}, which this release of transformers lacks")
    return getattr(transformers, named)


class TextCoder:
    """A model's tokenizer, with the tokens that end an answer.

    Attributes:
        tokenizer: transformers' tokenizer of the folder.
        ends: the tokens that end an answer, the tokenizer's first.
        pad: the padding token.
    """

    def __init__(self, folder: Path, generation_config: Any) -> None:
        """Load the tokenizer; `generation_config` is the model's."""
        self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **LOCAL)
        configured = generation_config.eos_token_id
        listed = configured if isinstance(configured, list) else [configured]
        ends = dict.fromkeys([self.tokenizer.eos_token_id, *listed])
        self.ends: list[int] = [token for token in ends if token is not None]
        self.pad: int = self.tokenizer.pad_token_id or self.tokenizer.eos_token_id or 0

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text` without any special token around them."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def continuation(self, text: str) -> list[int]:
        """Return the tokens of `text` behind other text.

        The tokenizers of Llama 2, Mistral and Phi-3 add a space before the text, which is right at the beginning only.
        """
        behind, tokens = self.encode("\n"), self.encode(f"\n{text}")
        return tokens[len(behind) :] if tokens[: len(behind)] == behind else self.encode(text)
