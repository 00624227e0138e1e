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
from prompts.answer_space import AnswerSpace, Choice, Selection
from prompts.prompt import Prompt
from retrieval.bm25 import best_first

Solver = Callable[[LanguageModel, Sequence[Prompt], ScoringSettings], list[Answer]]
Scorer = Callable[[LanguageModel, Sequence[Prompt], ScoringSettings], list[tuple[float, ...]]]


def solve(
    model: LanguageModel, prompts: Sequence[Prompt], ways: Sequence[str], limits: ScoringSettings
) -> list[Answer]:
    """Answer every prompt in its way, in order; prompts that are answered alike share their batches.

    Raises:
        EngineError: the model could not score them in time.
    """
    groups: dict[str, list[int]] = {}
    for index, way in enumerate(ways):
        groups.setdefault(way, []).append(index)
    answers: dict[int, Answer] = {}
    for way, indices in groups.items():
        found = SOLVERS[way](model, [prompts[index] for index in indices], limits)
        answers.update(zip(indices, found, strict=True))
    return [answers[index] for index in range(len(prompts))]


def solve_by_adapter(
    model: AdaptedModel, prompts: Sequence[Prompt], ways: Sequence[str], limits: ScoringSettings, own: str
) -> list[Answer]:
    """Answer every prompt as `solve` does, with the adapter that it asks for, `own` where it asks for none.

    Raises:
        EngineError: the model could not score them in time, or an adapter was not loaded.
    """
    groups: dict[str, list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(own if prompt.adapter is None else prompt.adapter, []).append(index)
    answers: dict[int, Answer] = {}
    # Beginning with the one in use saves a switch.
    for adapter in sorted(groups, key=lambda name: name != model.adapter):
        model.use(adapter)
        indices = groups[adapter]
        found = solve(model, [prompts[index] for index in indices], [ways[index] for index in indices], limits)
        answers.update(zip(indices, found, strict=True))
    return [answers[index] for index in range(len(prompts))]


def _scored(scorer: Scorer) -> Solver:
    """Make a solver of a scorer: the best label, or the best labels in order."""

    def solved(model: LanguageModel, prompts: Sequence[Prompt], limits: ScoringSettings) -> list[Answer]:
        scores = scorer(model, prompts, limits)
        return [_best(prompt.space, found) for prompt, found in zip(prompts, scores, strict=True)]

    return solved


def _best(space: AnswerSpace, scores: tuple[float, ...]) -> Answer:
    assert isinstance(space, Choice | Selection)
    count = space.count if isinstance(space, Selection) else 1
    return Answer(", ".join(space.labels[index] for index in best_first(scores)[:count]), scores)


SOLVERS: Mapping[str, Solver] = {
    LABEL: _scored(score_labels),
    TEXT: _scored(score_texts),
    PMI: _scored(score_pmi),
    DECODE: decode_labels,
    SPANS: answer_spans,
    COPY: copy_spans,
    WRITE: write_texts,
}
