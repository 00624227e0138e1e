"""A randomly initialised Llama of two layers with a tokenizer of its own: every code path, no download, no sense."""

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

_LINES = (
    "You are a helpful online shopping assistant. Answer the question and follow the given instructions.",
    "Which of these products does the customer who searched for a water bottle buy?",
    "The review of the product is positive: the battery lasts three weeks and the stand feels solid.",
    "1, 2, 3, 4, 5\nquery title answer category brand size color\n0. one 1. two 2. three",
    "Die Flasche hält zwölf Stunden heiß. Una botella de agua. 水筒 ステンレス",
)
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def save_tiny_model(folder: Path, *, chat_template: bool = True) -> None:
    """Save weights and tokenizer in Hugging Face layout; the same bytes every time."""
    tokenizer = _tokenizer(chat_template)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(20240)
    config: Any = transformers.LlamaConfig
    settings = config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.25,  # far from uniform, so that no two tokens are equally likely
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model: Any = transformers.LlamaForCausalLM
    model(settings).save_pretrained(folder, safe_serialization=True)


def _tokenizer(chat_template: bool) -> Any:
    """Train byte-level BPE; digits stand alone, as in SmolLM2, so that "12" is two tokens."""
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer: Any = trainers.BpeTrainer
    tokenizer.train_from_iterator(
        _LINES,
        trainer(
            vocab_size=420,
            special_tokens=list(_SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    wrapper: Any = transformers.PreTrainedTokenizerFast
    wrapped = wrapper(
        tokenizer_object=tokenizer,
        bos_token=_SPECIAL[1],
        eos_token=_SPECIAL[2],
        pad_token=_SPECIAL[2],
        unk_token=_SPECIAL[0],
    )
    if chat_template:
        wrapped.chat_template = _TEMPLATE
    return wrapped
