"""Text and lists of labels written by vLLM, all rows side by side."""

from collections.abc import Sequence
from typing import Protocol

from models.engines.answering.language_model import LanguageModel, WritingRow
from models.engines.answering.writing import text_is_complete, text_of
from models.engines.vllm_engine.grammar import label_grammar, labels_at_once, read_labels
from models.engines.vllm_engine.requests import Reply, Request
from prompts.answer_space import Choice, Selection, Text

_TOKENS_PER_TOKEN = 3  # a grammar fixes the characters; the model may spell them in more tokens than the tokenizer


class Line(Protocol):
    """One row while it is written: a request, its reply, and so on until the line is done."""

    done: bool

    def request(self) -> Request:
        """Return what is to be asked next."""
        ...

    def take(self, reply: Reply) -> None:
        """Read the reply to it."""
        ...

    def text(self) -> str:
        """Return what was written so far."""
        ...


def line_of(model: LanguageModel, row: WritingRow, replica: int) -> Line:
    """Return the line that writes what the row's space asks for."""
    if isinstance(row.space, Text):
        return _TextLine(model, row, row.space, replica)
    return _LabelLine(model, row, row.space, replica)


class _TextLine:
    def __init__(self, model: LanguageModel, row: WritingRow, space: Text, replica: int) -> None:
        self.done = False
        self._model, self._row, self._space, self._replica = model, row, space, replica
        self._tokens: list[int] = []

    def request(self) -> Request:
        return Request(
            self._row.prompt,
            limit=self._row.limit,
            ends=self._model.ends,
            is_complete=lambda tokens: text_is_complete(self._model, tokens, self._space),
            replica=self._replica,
        )

    def take(self, reply: Reply) -> None:
        self._tokens, self.done = reply.tokens, True

    def text(self) -> str:
        return text_of(self._model, self._tokens)


class _LabelLine:
    """A list of labels, in parts where one grammar of the whole list would be too large."""

    def __init__(self, model: LanguageModel, row: WritingRow, space: Choice | Selection, replica: int) -> None:
        self.done = False
        self._model, self._row, self._replica = model, row, replica
        self._prompt = list(row.prompt)
        self._left = list(space.labels)
        self._count = space.count if isinstance(space, Selection) else 1
        self._chosen: list[str] = []

    def request(self) -> Request:
        missing = self._count - len(self._chosen)
        part = labels_at_once(len(self._left), missing)
        grammar = label_grammar(self._left, part, ends=part == missing)
        limit = _TOKENS_PER_TOKEN * self._row.limit
        return Request(self._prompt, limit=limit, grammar=grammar, replica=self._replica)

    def take(self, reply: Reply) -> None:
        found = read_labels(reply.text, self._left)
        self._chosen += found
        self._left = [label for label in self._left if label not in found]
        self._prompt += [token for token in reply.tokens if token not in self._model.ends]
        self.done = not reply.done or not found or len(self._chosen) == self._count

    def text(self) -> str:
        return ", ".join(self._chosen)


def batch_times(replies: Sequence[Reply], seconds: float) -> tuple[float, float]:
    """Split the seconds of a batch into those until all rows had their first token, and the rest."""
    reading = max((seconds if reply.first is None else reply.first for reply in replies), default=0.0)
    return reading, seconds - reading
