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
from models.settings import EngineSettings
from prompts.answer_space import AnswerSpace, Choice, Selection, Spans
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

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Answer every prompt, in order; prompts that are answered alike share their batches."""
        groups: dict[str, list[int]] = {}
        for index, prompt in enumerate(prompts):
            groups.setdefault(self._way(prompt.space), []).append(index)
        answers: dict[int, Answer] = {}
        for way, indices in groups.items():
            found = SOLVERS[way](self._model, [prompts[index] for index in indices], self._limits)
            answers.update(zip(indices, found, strict=True))
        return [answers[index] for index in range(len(prompts))]

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

    def _way(self, space: AnswerSpace) -> str:
        if isinstance(space, Choice | Selection):
            way = self._settings.choice if isinstance(space, Choice) else self._settings.selection
            return "label" if way in ("text", "pmi") and not space.texts else way
        return "spans" if isinstance(space, Spans) else "write"


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
    "label": _scored(score_labels),
    "text": _scored(score_texts),
    "pmi": _scored(score_pmi),
    "decode": decode_labels,
    "spans": answer_spans,
    "write": write_texts,
}
