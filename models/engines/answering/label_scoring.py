"""Labels scored after one forward pass: no token is decoded, several-token labels share their prefix."""

import math
from collections.abc import Sequence

from models.engines.answering.language_model import Coder, LanguageModel
from models.engines.answering.rendering import question_tokens
from models.engines.answering.scoring import ScoringSettings, score_behind_head
from prompts.answer_space import Choice, Selection
from prompts.prompt import Prompt


def score_labels(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[tuple[float, ...]]:
    """Return the log-probability of each prompt's labels behind its whole question.

    A label that begins another one ("1" and "12") also has to end: it gets what its continuations leave over.
    """
    rows = []
    for prompt in prompts:
        tokens = label_tokens(model, prompt)
        rows.append((prompt, question_tokens(model, prompt, prompt.user, settings.max_prompt_tokens), tokens))
    scores = score_behind_head(model, [(p.system, question, tokens) for p, question, tokens in rows], settings)
    return [_ended(tokens, found) for (_, _, tokens), found in zip(rows, scores, strict=True)]


def label_tokens(model: Coder, prompt: Prompt) -> list[list[int]]:
    """Return the tokens of each of the prompt's labels as they stand behind its cue."""
    return [model.continuation(_spaced(prompt, label)) for label in _labels(prompt)]


def _labels(prompt: Prompt) -> tuple[str, ...]:
    assert isinstance(prompt.space, Choice | Selection)
    return prompt.space.labels


def _spaced(prompt: Prompt, label: str) -> str:
    return f" {label}" if prompt.cue else label


def _ended(tokens: Sequence[Sequence[int]], found: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(sum(values) + _stays(label, tokens, found) for label, values in zip(tokens, found, strict=True))


def _stays(label: Sequence[int], tokens: Sequence[Sequence[int]], found: Sequence[Sequence[float]]) -> float:
    size = len(label)
    leaving = {
        tuple(other[: size + 1]): values[size]
        for other, values in zip(tokens, found, strict=True)
        if len(other) > size and other[:size] == label
    }
    rest = 1.0 - sum(math.exp(value) for value in leaving.values())
    return math.log(max(rest, 1e-9))
