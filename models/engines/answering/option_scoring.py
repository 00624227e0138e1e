"""Options scored by one forward pass, without decoding a token: by their labels or by their texts.

`pmi` is log P(text | question) - log P(text | no question), the pointwise mutual information of Holtzman et al. (2021),
"Surface Form Competition": how much the question adds to the probability of a text. `text` is the mean log-probability
of the text's tokens. Both show the question without its list, so that no option can be copied from it.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from models.engines.answering.language_model import Coder, LanguageModel, LogProbabilities, ScoringRow
from models.engines.answering.tokens import ScoringSettings, question_tokens, statement_tokens
from prompts.prompt import Choice, Prompt, Selection

_MOST_OPTION_TOKENS = 128  # the first tokens of an option are enough for its score; a whole description only costs time
_FEWEST_OPTION_TOKENS = 4


def score_labels(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[tuple[float, ...]]:
    """Return the log-probability of each prompt's labels behind its whole question.

    For a label that is a prefix of another one ("1" and "12"), the score includes the probability that none of the
    longer labels follows.
    """
    tokens = [label_tokens(model, prompt) for prompt in prompts]
    rows = [
        (prompt.system, question_tokens(model, prompt, prompt.user, settings.max_prompt_tokens), labels)
        for prompt, labels in zip(prompts, tokens, strict=True)
    ]
    return [_ended(*pair) for pair in zip(tokens, model.score_rows(rows, settings.token_budget), strict=True)]


def label_tokens(model: Coder, prompt: Prompt) -> list[list[int]]:
    """Return the tokens of each of the prompt's labels as they stand behind its cue."""
    return [model.continuation(f" {label}" if prompt.cue else label) for label in _options(prompt).labels]


def score_texts(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[tuple[float, ...]]:
    """Return the mean log-probability of each option's text behind the bare question."""
    given = _text_log_probabilities(model, prompts, settings)
    return [tuple(sum(values) / len(values) for values in options) for options in given]


def score_pmi(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[tuple[float, ...]]:
    """Return the pointwise mutual information, in nats, of each option's text and the bare question."""
    scored = _text_log_probabilities(model, [*prompts, *map(without_question, prompts)], settings)
    given, alone = scored[: len(prompts)], scored[len(prompts) :]
    return [tuple(sum(g) - sum(a) for g, a in zip(*pair, strict=True)) for pair in zip(given, alone, strict=True)]


def without_question(prompt: Prompt) -> Prompt:
    """Return the prompt with an empty question, which shows the score that an option has by itself."""
    return replace(prompt, bare="")


def option_row(model: Coder, prompt: Prompt, options: Sequence[str], settings: ScoringSettings) -> ScoringRow:
    """Return the row that scores a prompt's options: its bare question, and the tokens of each option behind it."""
    most = max(_FEWEST_OPTION_TOKENS, min(_MOST_OPTION_TOKENS, settings.max_prompt_tokens // len(options)))
    tokens = [_option_tokens(model, prompt, option)[:most] for option in options]
    return prompt.system, _bare_tokens(model, prompt, settings), tokens


def _text_log_probabilities(
    model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings
) -> LogProbabilities:
    rows = [option_row(model, prompt, _options(prompt).texts, settings) for prompt in prompts]
    return model.score_rows(rows, settings.token_budget)


def _bare_tokens(model: Coder, prompt: Prompt, settings: ScoringSettings) -> list[int]:
    if prompt.as_statement:
        return statement_tokens(model, prompt, settings.max_prompt_tokens)
    return question_tokens(model, prompt, prompt.bare, settings.max_prompt_tokens)


def _options(prompt: Prompt) -> Choice | Selection:
    assert isinstance(prompt.space, Choice | Selection)
    return prompt.space


def _option_tokens(model: Coder, prompt: Prompt, text: str) -> list[int]:
    """Return an option's tokens as they follow the cue, never none."""
    return model.continuation(f" {text}" if prompt.cue.strip() else text) or [model.pad]


def _ended(tokens: Sequence[Sequence[int]], found: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(sum(values) + _stays(label, tokens, found) for label, values in zip(tokens, found, strict=True))


def _stays(label: Sequence[int], tokens: Sequence[Sequence[int]], found: Sequence[Sequence[float]]) -> float:
    """Return the log-probability that no longer label goes on where `label` ends."""
    size = len(label)
    leaving = {
        tuple(other[: size + 1]): values[size]
        for other, values in zip(tokens, found, strict=True)
        if len(other) > size and other[:size] == label
    }
    rest = 1.0 - sum(math.exp(value) for value in leaving.values())
    return math.log(max(rest, 1e-9))
