"""The solver for each way to answer, and the base class of engines, which passes prompts to the solvers."""

import time
from collections.abc import Callable, Mapping, Sequence

from models.engines.answering.language_model import AdaptedModel, LanguageModel
from models.engines.answering.option_scoring import score_labels, score_pmi, score_texts
from models.engines.answering.spans import answer_spans, copy_spans
from models.engines.answering.tokens import ScoringSettings
from models.engines.answering.writing import decode_labels, write_texts
from models.engines.interface import NO_LIMIT, Answer, Usage
from models.engines.model_registry import template_text
from models.engines.settings import COPY, DECODE, LABEL, PMI, SPANS, TEXT, WRITE, EngineSettings, way_of
from prompts.prompt import Choice, Prompt, Selection, best_labels
from utilities.grouping import grouped, in_order

Solver = Callable[[LanguageModel, Sequence[Prompt], ScoringSettings], list[Answer]]
Scorer = Callable[[LanguageModel, Sequence[Prompt], ScoringSettings], list[tuple[float, ...]]]


def solve(
    model: LanguageModel, prompts: Sequence[Prompt], ways: Sequence[str], limits: ScoringSettings
) -> list[Answer]:
    """Answer every prompt in its way, in order; prompts with the same way share their batches.

    Raises:
        EngineError: the model could not score them in time.
    """
    return in_order(
        grouped(ways), lambda way, indices: SOLVERS[way](model, [prompts[index] for index in indices], limits)
    )


def _scored(scorer: Scorer) -> Solver:
    """Make a solver of a scorer: the label with the highest score, or the labels in the order of their scores."""

    def solved(model: LanguageModel, prompts: Sequence[Prompt], limits: ScoringSettings) -> list[Answer]:
        scores = scorer(model, prompts, limits)
        return [_best(prompt, found) for prompt, found in zip(prompts, scores, strict=True)]

    return solved


def _best(prompt: Prompt, scores: tuple[float, ...]) -> Answer:
    assert isinstance(prompt.space, Choice | Selection)
    return Answer(best_labels(prompt.space, scores), scores)


SOLVERS: Mapping[str, Solver] = {
    LABEL: _scored(score_labels),
    TEXT: _scored(score_texts),
    PMI: _scored(score_pmi),
    DECODE: decode_labels,
    SPANS: answer_spans,
    COPY: copy_spans,
    WRITE: write_texts,
}


class SolvingEngine:
    """The base class of engines: it answers prompts with a language model, grouped by adapter and way to answer."""

    def __init__(self, model: AdaptedModel, settings: EngineSettings) -> None:
        """Take over a loaded model; the settings' chat template replaces the one of its tokenizer."""
        self._model, self._settings = model, settings
        template = template_text(settings.chat_template)
        if template is not None:
            model.tokenizer.chat_template = template

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> list[Answer]:
        """Answer every prompt, in order; prompts with the same adapter and way share their batches.

        Raises:
            EngineError: the timeout came before all was scored, or an adapter was not loaded.
        """
        self._model.deadline = time.monotonic() + seconds
        ways = ways or [way_of(prompt.space, self._settings) for prompt in prompts]

        def solved(adapter: str, indices: Sequence[int]) -> list[Answer]:
            self._model.use(adapter)
            return solve(self._model, [prompts[i] for i in indices], [ways[i] for i in indices], self._limits)

        own = self._settings.adapter
        groups = grouped([own if prompt.adapter is None else prompt.adapter for prompt in prompts])
        # Beginning with the adapter in use saves a switch.
        return in_order(dict(sorted(groups.items(), key=lambda group: group[0] != self._model.adapter)), solved)

    def usage(self) -> Usage:
        """Return the running totals of tokens and seconds."""
        return self._model.usage

    @property
    def _limits(self) -> ScoringSettings:
        return ScoringSettings(self._settings.token_budget, self._settings.max_prompt_tokens)
