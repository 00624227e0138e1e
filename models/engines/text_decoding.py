"""Free text, written greedily and trimmed to its answer space."""

from collections.abc import Sequence

from models.engines.causal_lm import CausalLM
from models.engines.decoding import Row, decode_behind_head
from models.engines.interface import Answer
from models.engines.rendering import question_tokens
from models.engines.scoring import ScoringSettings
from prompts.answer_space import AnswerSpace, Text
from prompts.prompt import Prompt
from prompts.trimming import trim

_TOKENS_PER_WORD = 2  # English takes 1.3 tokens a word, product titles with numbers about two
_LEAST_TOKENS = 16


def write_texts(model: CausalLM, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[Answer]:
    """Write one text a prompt; it ends at a stop, at its word limit or where the model ends it."""
    rows = [_row(model, prompt, settings.max_prompt_tokens) for prompt in prompts]
    decode_behind_head(model, [prompt.system for prompt in prompts], rows, settings.token_budget)
    return [Answer(_read(model, row.tokens, prompt.space)) for prompt, row in zip(prompts, rows, strict=True)]


def _row(model: CausalLM, prompt: Prompt, limit: int) -> Row:
    space = prompt.space
    assert isinstance(space, Text)

    def allowed(tokens: Sequence[int]) -> list[int] | None:
        return [] if tokens and (tokens[-1] in model.ends or _is_complete(model, tokens, space)) else None

    most = max(_LEAST_TOKENS, _TOKENS_PER_WORD * space.max_words)
    return Row(question_tokens(model, prompt, prompt.user, limit), allowed, most, never_first=model.ends)


def _is_complete(model: CausalLM, tokens: Sequence[int], space: Text) -> bool:
    text = _text(model, tokens).lstrip()
    return len(text.split()) > space.max_words or any(stop in text for stop in space.stop)


def _read(model: CausalLM, tokens: Sequence[int], space: AnswerSpace) -> str:
    assert isinstance(space, Text)
    return trim(_text(model, tokens), space)


def _text(model: CausalLM, tokens: Sequence[int]) -> str:
    return str(model.tokenizer.decode(tokens, skip_special_tokens=True))
