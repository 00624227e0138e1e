"""The model's scores and the evidence, combined into one answer."""

from collections.abc import Sequence

from models.engines.interface import Answer
from prompts.answer_space import Choice, Selection
from prompts.prompt import Prompt
from retrieval.bm25 import best_first
from retrieval.fusion import MODEL, Combiner


def fused_answer(prompt: Prompt, answer: Answer, combiner: Combiner) -> str:
    """Order labels by the model's scores and the evidence combined; anything else stays the engine's answer.

    A decoded answer carries no scores and is left as it is.
    """
    space = prompt.space
    if not isinstance(space, Choice | Selection) or not answer.scores or not prompt.evidence:
        return answer.text
    return chosen_labels(space, combiner.combine(prompt.kind, {**prompt.evidence, MODEL: answer.scores}))


def chosen_labels(space: Choice | Selection, scores: Sequence[float]) -> str:
    """Return the label with the best score, or the labels with the best ones in order, separated by commas."""
    count = space.count if isinstance(space, Selection) else 1
    return ", ".join(space.labels[index] for index in best_first(scores)[:count])
