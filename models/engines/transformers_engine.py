"""The engine for dense weights through transformers, on a CPU or a GPU."""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from models.engines.causal_lm import CausalLM
from models.engines.constrained_decoding import decode_labels
from models.engines.interface import Answer
from models.engines.label_scoring import score_labels
from models.engines.option_scoring import score_pmi, score_texts
from models.engines.scoring import ScoringSettings
from models.engines.span_scoring import answer_spans
from models.engines.text_decoding import write_texts
from models.engines.usage import Usage
from models.engines.ways import DECODE, LABEL, PMI, SPANS, TEXT, WRITE, way_of
from models.settings import EngineSettings
from prompts.answer_space import AnswerSpace, Choice, Selection
from prompts.prompt import Prompt
from utilities.fingerprint import fingerprint
from utilities.retrieval import best_first

Solver = Callable[[CausalLM, Sequence[Prompt], ScoringSettings], list[Answer]]
Scorer = Callable[[CausalLM, Sequence[Prompt], ScoringSettings], list[tuple[float, ...]]]


class TransformersEngine:
    """Groups prompts by how they are answered and hands each group to its solver."""

    def __init__(self, folder: Path, settings: EngineSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._limits = ScoringSettings(settings.token_budget, settings.max_prompt_tokens)
        self._model = CausalLM(folder, getattr(torch, settings.dtype), settings.device)

    def answer(self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None) -> list[Answer]:
        """Answer every prompt, in order; prompts that are answered alike share their batches."""
        ways = ways or [way_of(prompt.space, self._settings) for prompt in prompts]
        groups: dict[str, list[int]] = {}
        for index, way in enumerate(ways):
            groups.setdefault(way, []).append(index)
        answers: dict[int, Answer] = {}
        for way, indices in groups.items():
            found = SOLVERS[way](self._model, [prompts[index] for index in indices], self._limits)
            answers.update(zip(indices, found, strict=True))
        return [answers[index] for index in range(len(prompts))]

    def usage(self) -> Usage:
        """Return what was read and written so far, and the seconds that it took."""
        return self._model.usage

    def describe(self) -> Mapping[str, object]:
        """Return the engine's versions and what identifies its weights."""
        return {
            "engine": "transformers",
            "folder": self._settings.weights,
            "fingerprint": fingerprint(self._folder),
            "parameters": self._model.model.num_parameters(),
            "device": str(self._model.device),
            "torch": version("torch"),
            "transformers": version("transformers"),
        }


def _scored(scorer: Scorer) -> Solver:
    """Make a solver of a scorer: the best label, or the best labels in order."""

    def solve(model: CausalLM, prompts: Sequence[Prompt], limits: ScoringSettings) -> list[Answer]:
        scores = scorer(model, prompts, limits)
        return [_best(prompt.space, found) for prompt, found in zip(prompts, scores, strict=True)]

    return solve


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
    WRITE: write_texts,
}
