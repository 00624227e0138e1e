"""Free text, written greedily and trimmed to its answer space."""

from collections.abc import Sequence

from models.engines.answering.language_model import Coder, LanguageModel, WritingRow
from models.engines.answering.rendering import question_tokens
from models.engines.answering.scoring import ScoringSettings
from models.engines.interface import Answer
from prompts.answer_space import Text
from prompts.prompt import Prompt
from prompts.trimming import trim

_TOKENS_PER_WORD = 2  # English takes 1.3 tokens a word, product titles with numbers about two
_LEAST_TOKENS = 16


def write_texts(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[Answer]:
    """Write one text a prompt; it ends at a stop, at its word limit or where the model ends it."""
    rows = [_row(model, prompt, settings.max_prompt_tokens) for prompt in prompts]
    texts = model.write_rows(rows, settings.token_budget)
    return [Answer(trim(text, _space(prompt))) for prompt, text in zip(prompts, texts, strict=True)]


def text_is_complete(model: Coder, tokens: Sequence[int], space: Text) -> bool:
    """Tell whether a text needs no further token: it was ended, holds a stop or has more words than it may."""
    if not tokens:
        return False
    text = text_of(model, tokens).lstrip()
    return tokens[-1] in model.ends or len(text.split()) > space.max_words or any(stop in text for stop in space.stop)


def text_of(model: Coder, tokens: Sequence[int]) -> str:
    """Return the text of `tokens` without special tokens."""
    return str(model.tokenizer.decode(tokens, skip_special_tokens=True))


def _row(model: Coder, prompt: Prompt, limit: int) -> WritingRow:
    most = max(_LEAST_TOKENS, _TOKENS_PER_WORD * _space(prompt).max_words)
    return WritingRow(prompt.system, question_tokens(model, prompt, prompt.user, limit), _space(prompt), most)


def _space(prompt: Prompt) -> Text:
    assert isinstance(prompt.space, Text)
    return prompt.space
