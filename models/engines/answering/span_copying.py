"""Phrases copied from the question by writing them: for models that follow instructions, and cheaper than scoring."""

from collections.abc import Sequence

from models.engines.answering.language_model import LanguageModel, WritingRow
from models.engines.answering.rendering import question_tokens
from models.engines.answering.scoring import ScoringSettings
from models.engines.interface import Answer
from prompts.answer_space import Spans, Text
from prompts.phrases import phrases, without_overlap
from prompts.prompt import Prompt

_TOKENS_PER_WORD = 2
_LEAST_TOKENS = 8
_SEPARATORS = str.maketrans(dict.fromkeys(";、，\n", ","))
_EDGES = " \t'\"`*.[]()“”‘’«»「」-"


def copy_spans(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[Answer]:
    """Have the phrases written and keep those that the source has; an empty text stands where it has none of them."""
    texts = model.write_rows([_row(model, prompt, settings) for prompt in prompts], settings.token_budget)
    return [Answer(copied(_space(prompt), text)) for prompt, text in zip(prompts, texts, strict=True)]


def copied(space: Spans, text: str) -> str:
    """Return the phrases of `text` that the source has, spelled as there, separated by commas."""
    known = {phrase.lower(): phrase for phrase in phrases(space)}
    written = (part.strip(_EDGES).lower() for part in text.translate(_SEPARATORS).split(","))
    found = dict.fromkeys(known[part] for part in written if part in known)
    return ", ".join(without_overlap(space.source, list(found), space.max_spans))


def most_words(space: Spans) -> int:
    """Return how many words the longest answer has."""
    return space.max_spans * space.max_words


def _row(model: LanguageModel, prompt: Prompt, settings: ScoringSettings) -> WritingRow:
    words = most_words(_space(prompt))
    tokens = question_tokens(model, prompt, prompt.user, settings.max_prompt_tokens)
    return WritingRow(prompt.system, tokens, Text(words), max(_LEAST_TOKENS, _TOKENS_PER_WORD * words))


def _space(prompt: Prompt) -> Spans:
    assert isinstance(prompt.space, Spans)
    return prompt.space
