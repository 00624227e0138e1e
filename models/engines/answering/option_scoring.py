"""Options scored by their texts, without decoding a token.

`pmi` is log P(text | question) - log P(text | no question), the pointwise mutual information of Holtzman et al. (2021),
"Surface Form Competition": what the question adds to how likely a text is by itself. `text` is the mean log-probability
of the text's tokens. Both are shown the question without its list, so that no option can be copied from it.
"""

from collections.abc import Sequence
from dataclasses import replace

from models.engines.answering.language_model import Coder, LanguageModel, LogProbabilities, ScoringRow
from models.engines.answering.rendering import question_tokens, statement_tokens
from models.engines.answering.scoring import ScoringSettings, score_behind_head
from prompts.answer_space import Choice, Selection
from prompts.prompt import Prompt

_MOST_OPTION_TOKENS = 128  # what the question adds to an option shows early; a whole description only costs time
_FEWEST_OPTION_TOKENS = 4


def score_texts(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[tuple[float, ...]]:
    """Return the mean log-probability of each option's text behind the bare question."""
    given = text_log_probabilities(model, prompts, [_options(prompt) for prompt in prompts], settings)
    return [tuple(sum(values) / len(values) for values in options) for options in given]


def score_pmi(model: LanguageModel, prompts: Sequence[Prompt], settings: ScoringSettings) -> list[tuple[float, ...]]:
    """Return the pointwise mutual information, in nats, of each option's text and the bare question."""
    options = [_options(prompt) for prompt in prompts]
    both = [*prompts, *map(without_question, prompts)]
    scored = text_log_probabilities(model, both, [*options, *options], settings)
    given, alone = scored[: len(prompts)], scored[len(prompts) :]
    return [tuple(sum(g) - sum(a) for g, a in zip(*pair, strict=True)) for pair in zip(given, alone, strict=True)]


def without_question(prompt: Prompt) -> Prompt:
    """Return the prompt with nothing asked: what an answer is worth by itself."""
    return replace(prompt, bare="")


def text_log_probabilities(
    model: LanguageModel, prompts: Sequence[Prompt], texts: Sequence[Sequence[str]], settings: ScoringSettings
) -> LogProbabilities:
    """Return the log-probabilities of the tokens of each prompt's texts behind its bare question."""
    rows = [option_row(model, prompt, options, settings) for prompt, options in zip(prompts, texts, strict=True)]
    return score_behind_head(model, rows, settings)


def option_row(model: Coder, prompt: Prompt, options: Sequence[str], settings: ScoringSettings) -> ScoringRow:
    """Return what is scored for a prompt: its bare question, and the tokens of each option behind it."""
    most = max(_FEWEST_OPTION_TOKENS, min(_MOST_OPTION_TOKENS, settings.max_prompt_tokens // len(options)))
    tokens = [_option_tokens(model, prompt, option)[:most] for option in options]
    return prompt.system, _bare_tokens(model, prompt, settings), tokens


def _bare_tokens(model: Coder, prompt: Prompt, settings: ScoringSettings) -> list[int]:
    if prompt.as_statement:
        return statement_tokens(model, prompt, settings.max_prompt_tokens)
    return question_tokens(model, prompt, prompt.bare, settings.max_prompt_tokens)


def _options(prompt: Prompt) -> tuple[str, ...]:
    assert isinstance(prompt.space, Choice | Selection)
    return prompt.space.texts


def _option_tokens(model: Coder, prompt: Prompt, text: str) -> list[int]:
    """Return an option's tokens as they follow the cue, never none."""
    return model.continuation(f" {text}" if prompt.cue.strip() else text) or [model.pad]
