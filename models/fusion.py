"""The model's scores and lexical evidence, brought to one scale and added."""

import statistics
from collections.abc import Sequence

from models.engines.interface import Answer
from prompts.answer_space import Choice, Selection
from prompts.prompt import Prompt
from utilities.retrieval import best_first


def standardised(scores: Sequence[float]) -> list[float]:
    """Return scores with mean 0 and standard deviation 1; all zero when they do not differ."""
    mean, spread = statistics.fmean(scores), statistics.pstdev(scores)
    return [(score - mean) / spread if spread > 1e-12 else 0.0 for score in scores]


def fused_answer(prompt: Prompt, answer: Answer, share: float) -> str:
    """Order labels by (1 - share) x model + share x evidence; anything else stays the engine's answer.

    `share` is 0 to 1. A decoded answer carries no scores and is left as it is.
    """
    space = prompt.space
    if not isinstance(space, Choice | Selection) or not answer.scores or not any(prompt.evidence):
        return answer.text
    model, evidence = standardised(answer.scores), standardised(prompt.evidence)
    return chosen_labels(space, [(1 - share) * m + share * e for m, e in zip(model, evidence, strict=True)])


def chosen_labels(space: Choice | Selection, scores: Sequence[float]) -> str:
    """Return the label with the best score, or the labels with the best ones in order, separated by commas."""
    count = space.count if isinstance(space, Selection) else 1
    return ", ".join(space.labels[index] for index in best_first(scores)[:count])
