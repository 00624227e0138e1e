"""Greedy writing: free text, trimmed to its answer space, and labels from allowed tokens only.

Decoded labels are the baseline for scored labels.
"""

from collections.abc import Sequence

from models.engines.answering.language_model import Coder, LanguageModel, WritingRow
from models.engines.answering.tokens import ScoringSettings, question_tokens
from models.engines.interface import Answer
from prompts.prompt import AnswerSpace, Choice, Prompt, Selection, Text
from prompts.trimming import trim

_TOKENS_PER_WORD = 2  # English takes 1.3 tokens a word, product titles with numbers about two
_LEAST_TOKENS = 16


def write_texts(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[Answer]:
    """Write one text for each prompt; it ends at a stop text, at its word limit or at the model's end token."""
    rows = [_text_row(model, prompt, settings.max_prompt_tokens) for prompt in prompts]
    texts = model.write_rows(rows, settings.token_budget)
    return [Answer(trim(text, _text(prompt))) for prompt, text in zip(prompts, texts, strict=True)]


def text_is_complete(model: Coder, tokens: Sequence[int], space: Text) -> bool:
    """Return whether a text needs no further token: it was ended, holds a stop or has more words than it may."""
    if not tokens:
        return False
    text = text_of(model, tokens).lstrip()
    return tokens[-1] in model.ends or len(text.split()) > space.max_words or any(stop in text for stop in space.stop)


def text_of(model: Coder, tokens: Sequence[int]) -> str:
    """Return the text of `tokens` without special tokens."""
    return str(model.tokenizer.decode(tokens, skip_special_tokens=True))


def decode_labels(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[Answer]:
    """Write one label, or several different ones with commas between them."""
    rows = [_label_row(model, prompt, settings.max_prompt_tokens) for prompt in prompts]
    return [Answer(text) for text in model.write_rows(rows, settings.token_budget)]


def _text_row(model: Coder, prompt: Prompt, limit: int) -> WritingRow:
    most = max(_LEAST_TOKENS, _TOKENS_PER_WORD * _text(prompt).max_words)
    return WritingRow(prompt.system, question_tokens(model, prompt, prompt.user, limit), _text(prompt), most)


def _text(prompt: Prompt) -> Text:
    assert isinstance(prompt.space, Text)
    return prompt.space


def _label_row(model: Coder, prompt: Prompt, limit: int) -> WritingRow:
    assert isinstance(prompt.space, Choice | Selection)
    question = question_tokens(model, prompt, prompt.user, limit)
    return WritingRow(prompt.system, question, prompt.space, LabelList(model, prompt.space).longest)


class LabelList:
    """The grammar of a `Choice` or a `Selection` in tokens: label, separator, another label, and so on."""

    def __init__(self, model: Coder, space: AnswerSpace) -> None:
        assert isinstance(space, Choice | Selection)
        self._count = space.count if isinstance(space, Selection) else 1
        self._labels = {tuple(model.continuation(f" {label}")): label for label in space.labels}
        self._separator = model.continuation(",")[0]
        self._end = model.ends[0]
        self.longest = self._count * (max(map(len, self._labels)) + 1) + 1

    def allowed(self, tokens: Sequence[int]) -> list[int]:
        """Return the tokens that continue the list, none when it is complete."""
        *done, rest = self._split(tokens)
        if rest and rest[-1] == self._end:
            return []
        following = [
            label[len(rest)]
            for label in self._labels
            if label not in done and label[: len(rest)] == rest and len(label) > len(rest)
        ]
        if rest in self._labels and rest not in done:
            closing = self._separator if len(done) + 1 < self._count else self._end
            following = [*following, closing] if following or closing == self._separator else []
        return list(dict.fromkeys(following))

    def read(self, tokens: Sequence[int]) -> str:
        """Return the labels that `tokens` spell, separated by commas."""
        parts = [tuple(token for token in part if token != self._end) for part in self._split(tokens)]
        return ", ".join(self._labels.get(part, "") for part in parts)

    def _split(self, tokens: Sequence[int]) -> list[tuple[int, ...]]:
        parts: list[list[int]] = [[]]
        for token in tokens:
            if token == self._separator:
                parts.append([])
            else:
                parts[-1].append(token)
        return [tuple(part) for part in parts]
