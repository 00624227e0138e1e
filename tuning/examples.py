"""Turns training forms into tokens: a prompt with a tree of answers, which are scored as the engine scores them.

The engine compares options and phrases by their scores, so training compares them too: every candidate takes part, and
the right ones should get the highest scores. Text is trained token by token.
"""

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.engines.answering.language_model import Coder
from models.engines.answering.option_scoring import label_tokens, option_row, without_question
from models.engines.answering.spans import phrase_tokens, span_row
from models.engines.answering.tokens import ScoringSettings, TokenTree, grow_tree, question_tokens
from models.engines.settings import COPY, DECODE, LABEL, PMI, SPANS, TEXT, WRITE, EngineSettings, way_of
from prompts.phrases import phrases
from prompts.prompt import Choice, Prompt, Selection, Spans
from tuning.training_form import TrainingForm
from utilities.errors import UserError
from utilities.typed_yaml import Positive, checked

_FEWEST_OPTION_TOKENS = 6


@dataclass(frozen=True)
class Term:
    """A continuation's part of a candidate's score: `weight` times the log-probability of its tokens from `skip` on."""

    candidate: int
    weight: float
    skip: int = 0


@dataclass(frozen=True)
class Example:
    """A training row as tokens.

    Attributes:
        trees: the tokens of prompts and of the continuations behind them, usually one tree.
        terms: one for each continuation of each tree, in order.
        gains: the worth of each candidate, not negative; a single 1 for a text.
        right: the number of tokens of a text; 0 for candidates.
    """

    trees: tuple[TokenTree, ...]
    terms: tuple[Term, ...]
    gains: tuple[float, ...]
    right: int = 0

    @property
    def length(self) -> int:
        """The number of tokens in the forward pass."""
        return sum(tree.length for tree in self.trees)


@checked
class Limits:
    """The most tokens of a prompt, of an option, of all options and of a text, and the most phrases compared."""

    prompt: Positive = 512
    option: Positive = 32
    options: Positive = 160
    text: Positive = 64
    phrases: Positive = 16

    def of_option(self, count: int) -> int:
        """Return the most tokens of each of `count` options."""
        return max(_FEWEST_OPTION_TOKENS, min(self.option, self.options // count))


def example(model: Coder, form: TrainingForm, engine: EngineSettings, limits: Limits, seed: str) -> Example:
    """Return the row's tokens for the way in which the engine's settings answer such questions.

    `seed` draws the wrong phrases that are compared with the right ones.

    Raises:
        UserError: there is no training for this way of answering.
    """
    way = way_of(form.prompt.space, engine)
    if way not in _WAYS:
        raise UserError(f"answering by {way!r} cannot be trained: set it to one of {', '.join(_WAYS)}")
    return _WAYS[way](model, form, limits, random.Random(seed))


def _by_pmi(model: Coder, form: TrainingForm, limits: Limits, _: random.Random) -> Example:
    (given, options), (alone, _same) = (
        _options(model, prompt, limits) for prompt in (form.prompt, without_question(form.prompt))
    )
    pairs = zip(given, alone, strict=False)
    shared = [token for token, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]
    skips = (len(given) - len(shared), len(alone) - len(shared))
    if shared:
        behind = [[*prompt[len(shared) :], *option] for prompt in (given, alone) for option in options]
        trees = [grow_tree(shared, behind)]
    else:
        trees, skips = [grow_tree(given, options), grow_tree(alone, options)], (0, 0)
    weights = zip((1.0, -1.0), skips, strict=True)
    terms = tuple(Term(index, weight, skip) for weight, skip in weights for index in range(len(options)))
    return Example(tuple(trees), terms, form.gains)


def _by_text(model: Coder, form: TrainingForm, limits: Limits, _: random.Random) -> Example:
    prompt, options = _options(model, form.prompt, limits)
    terms = tuple(Term(index, 1 / len(option)) for index, option in enumerate(options))
    return Example((grow_tree(prompt, options),), terms, form.gains)


def _options(model: Coder, prompt: Prompt, limits: Limits) -> tuple[list[int], list[list[int]]]:
    assert isinstance(prompt.space, Choice | Selection)
    scoring = ScoringSettings(limits.prompt, limits.prompt)
    _, question, options = option_row(model, prompt, prompt.space.texts, scoring)
    most = limits.of_option(len(options))
    return question, [option[:most] for option in options]


def _by_label(model: Coder, form: TrainingForm, limits: Limits, _: random.Random) -> Example:
    question = question_tokens(model, form.prompt, form.prompt.user, limits.prompt)
    labels = [[*tokens, model.ends[0]] for tokens in label_tokens(model, form.prompt)]
    terms = tuple(Term(index, 1.0) for index in range(len(labels)))
    return Example((grow_tree(question, labels),), terms, form.gains)


def _by_phrase(model: Coder, form: TrainingForm, limits: Limits, draw: random.Random) -> Example:
    found = _compared(form, limits.phrases, draw)
    tokens = [phrase_tokens(model, phrase) for phrase in found]
    row, cues = span_row(model, form.prompt, tokens, ScoringSettings(limits.prompt, limits.prompt))
    weights = (1.0, -form.prompt.neutral_share)
    terms = [Term(i, weight, skip) for weight, skip in zip(weights, cues, strict=True) for i in range(len(found))]
    used = [pair for pair in zip(row[2], terms, strict=True) if pair[1].weight]
    gains = tuple(float(phrase in form.texts) for phrase in found)
    tree = grow_tree(row[1], [tokens for tokens, _ in used])
    return Example((tree,), tuple(term for _, term in used), gains)


def _compared(form: TrainingForm, most: int, draw: random.Random) -> list[str]:
    """Return the right phrases, then random wrong ones: up to half of them overlap a right one."""
    assert isinstance(form.prompt.space, Spans)
    wrong = [phrase for phrase in phrases(form.prompt.space) if phrase not in form.texts]
    draw.shuffle(wrong)
    near = [phrase for phrase in wrong if any(phrase in right or right in phrase for right in form.texts)]
    near = near[: most // 2]
    far = [phrase for phrase in wrong if phrase not in near]
    return [*form.texts, *near, *far][: max(most, len(form.texts) + 1)]


def _written(model: Coder, form: TrainingForm, limits: Limits, _: random.Random) -> Example:
    question = question_tokens(model, form.prompt, form.prompt.user, limits.prompt)
    answer = model.continuation(", ".join(form.texts))
    answer = answer[: limits.text] if len(answer) > limits.text else [*answer, model.ends[0]]
    return Example((grow_tree(question, [answer]),), (Term(0, 1.0),), (1.0,), len(answer))


_WAYS: Mapping[str, Callable[[Coder, TrainingForm, Limits, random.Random], Example]] = {
    PMI: _by_pmi,
    TEXT: _by_text,
    LABEL: _by_label,
    DECODE: _by_label,
    SPANS: _by_phrase,
    COPY: _written,
    WRITE: _written,
}
