"""Labels written token by token, allowed tokens only: the way that scoring is compared with."""

from collections.abc import Sequence

from models.engines.answering.language_model import Coder, LanguageModel, WritingRow
from models.engines.answering.rendering import question_tokens
from models.engines.answering.scoring import ScoringSettings
from models.engines.interface import Answer
from prompts.answer_space import AnswerSpace, Choice, Selection
from prompts.prompt import Prompt


def decode_labels(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[Answer]:
    """Write one label, or several different ones with commas between them, greedily."""
    rows = [_row(model, prompt, settings.max_prompt_tokens) for prompt in prompts]
    return [Answer(text) for text in model.write_rows(rows, settings.token_budget)]


def _row(model: Coder, prompt: Prompt, limit: int) -> WritingRow:
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
