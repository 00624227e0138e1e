"""Converts a GGUF file into a folder of safetensors, which transformers and vLLM load quickly."""

from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from safetensors import SafetensorError
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from utilities.errors import UserError

# The sample has the difficult parts of shop texts: prices, accents, Japanese, white space before digits.
SAMPLES = (
    "Pack of 12, $4.99",
    "Größe 42 – ñandú",
    "ノートパソコン 日本語の説明",
    "Options:\n\n1. two  3 spaces",
)


def convert(gguf: Path, folder: Path) -> None:
    """Write the Llama model and tokenizer of `gguf` to `folder` as float32 safetensors.

    Raises:
        UserError: the model has another architecture, or the tokenizer fails a round trip.
        OSError: the folder cannot be written.
    """
    load_tokenizer(gguf).save_pretrained(folder)
    check_tokenizer(AutoTokenizer.from_pretrained(folder))
    try:
        load_model(gguf).save_pretrained(folder)
    except SafetensorError as error:
        raise OSError(str(error)) from error


def load_model(gguf: Path) -> PreTrainedModel:
    """Return the model of `gguf`, dequantised to float32.

    `save_pretrained` refuses a model with a quantization config, which a model read from GGUF keeps. Its weights move
    into a model that is built from the config without it.
    """
    quantized = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = quantized.config
    if config.model_type != "llama":
        raise UserError(f"{gguf.name} holds a {config.model_type} model: only Llama models can be converted")
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        model: PreTrainedModel = type(quantized)(config)
    model.load_state_dict(quantized.state_dict(), assign=True)
    model.tie_weights()
    return model


def load_tokenizer(gguf: Path) -> Any:
    """Return the tokenizer of `gguf`, with the splitting rule that its metadata names.

    transformers builds every "gpt2" vocabulary with GPT-2's rule. The rule "smollm" also splits every digit from the
    text before it: a paragraph break before "1." is one token, as in training, and not two.
    """
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    if field is not None and field.contents() == "smollm":
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    return tokenizer


def check_tokenizer(tokenizer: Any) -> None:
    """Raise `UserError` if text fails a round trip, a turn's mark is no single token, or the template drops text."""
    for text in SAMPLES:
        if tokenizer.decode(tokenizer.encode(text)) != text:
            raise UserError(f"the converted tokenizer does not give back {text!r}: the file is not usable")
    for mark in (tokenizer.bos_token, tokenizer.eos_token):
        if len(tokenizer.encode(mark, add_special_tokens=False)) != 1:
            raise UserError(f"the converted tokenizer splits {mark!r}: the file is not usable")
    turn = [{"role": "user", "content": SAMPLES[0]}]
    if not tokenizer.chat_template or SAMPLES[0] not in tokenizer.apply_chat_template(turn, tokenize=False):
        raise UserError("the converted tokenizer has no chat template that keeps a question: it is not usable")
