"""Tokenizers of a few hundred tokens, of the two kinds that the models in use have."""

import json
from typing import Any

import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

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
_SIZE = 420


def tiny_tokenizer(*, marks_words: bool, chat_template: bool = True) -> Any:
    """Train a tokenizer; `marks_words` as in Llama 2, Mistral and Phi-3, else as in Llama 3, Qwen2 and SmolLM2."""
    wrapper: Any = transformers.PreTrainedTokenizerFast
    wrapped = wrapper(
        tokenizer_object=_word_marking() if marks_words else _byte_level(),
        bos_token=_SPECIAL[1],
        eos_token=_SPECIAL[2],
        pad_token=_SPECIAL[2],
        unk_token=_SPECIAL[0],
    )
    if chat_template:
        wrapped.chat_template = _TEMPLATE
    return wrapped


def _byte_level() -> Any:
    """Train byte-level BPE; digits stand alone, as in SmolLM2, so that "12" is two tokens."""
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    _train(tokenizer, _SIZE, pre_tokenizers.ByteLevel.alphabet())
    return tokenizer


def _word_marking() -> Any:
    """Train BPE that writes a space as "▁", puts one before every text and spells what it does not know in bytes."""
    trained: Any = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Split(Regex("▁"), "merged_with_next")]
    )
    _train(trained, _SIZE - 256, [])
    learned = json.loads(trained.to_str())["model"]
    vocabulary = learned["vocab"] | {f"<0x{byte:02X}>": len(learned["vocab"]) + byte for byte in range(256)}
    merges = [tuple(pair) for pair in learned["merges"]]
    tokenizer: Any = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, fuse_unk=True, unk_token=_SPECIAL[0])
    )
    tokenizer.add_special_tokens(list(_SPECIAL))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _train(tokenizer: Any, size: int, alphabet: list[str]) -> None:
    trainer: Any = trainers.BpeTrainer
    settings = {"special_tokens": list(_SPECIAL), "initial_alphabet": alphabet, "show_progress": False}
    tokenizer.train_from_iterator(_LINES, trainer(vocab_size=size, **settings))
