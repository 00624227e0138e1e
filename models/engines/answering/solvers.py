"""The ways to answer, put to work: each prompt goes to the solver of its way, whichever engine runs the model."""

from collections.abc import Callable, Mapping, Sequence

from models.engines.answering.constrained_decoding import decode_labels
from models.engines.answering.label_scoring import score_labels
from models.engines.answering.language_model import AdaptedModel, LanguageModel
from models.engines.answering.option_scoring import score_pmi, score_texts
from models.engines.answering.scoring import ScoringSettings
from models.engines.answering.span_copying import copy_spans
from models.engines.answering.span_scoring import answer_spans
from models.engines.answering.text_decoding import write_texts
from models.engines.answering.ways import COPY, DECODE, LABEL, PMI, SPANS, TEXT, WRITE
from models.engines.interface import Answer
from prompts.answer_space import Choice, Selection, best_labels
from prompts.prompt import Prompt
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


def solve_by_adapter(
    model: AdaptedModel, prompts: Sequence[Prompt], ways: Sequence[str], limits: ScoringSettings, own: str
) -> list[Answer]:
    """Answer every prompt as `solve` does, with the prompt's adapter, or `own` where the prompt names none.

    Raises:
        EngineError: the model could not score them in time, or an adapter was not loaded.
    """

    def solved(adapter: str, indices: Sequence[int]) -> list[Answer]:
        model.use(adapter)
        return solve(model, [prompts[index] for index in indices], [ways[index] for index in indices], limits)

    groups = grouped([own if prompt.adapter is None else prompt.adapter for prompt in prompts])
    # Beginning with the adapter in use saves a switch.
    return in_order(dict(sorted(groups.items(), key=lambda group: group[0] != model.adapter)), solved)


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
