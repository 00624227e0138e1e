"""Averages label probabilities over several orders of the candidates, which cancels position bias."""

import math
import statistics
from collections.abc import Sequence

from models.engines.interface import Answer
from prompts.answer_space import Choice, Selection, best_labels
from prompts.orders import scores_in_order
from prompts.prompt import Prompt

_LEAST = 1e-12


def combined(prompts: Sequence[Prompt], answers: Sequence[Answer]) -> Answer:
    """Combine the answers to a prompt and to its reorderings into the answer to the first prompt.

    Its scores are logarithms of mean probabilities. If an answer has no scores, the first answer is returned.
    """
    first = prompts[0]
    assert isinstance(first.space, Choice | Selection)
    if not all(answer.scores for answer in answers):
        return answers[0]
    given = [scores_in_order(first, *pair) for pair in zip(prompts, (a.scores for a in answers), strict=True)]
    means = (statistics.fmean(column) for column in zip(*map(_probabilities, given), strict=True))
    scores = tuple(math.log(max(mean, _LEAST)) for mean in means)
    return Answer(best_labels(first.space, scores), scores)


def _probabilities(scores: Sequence[float]) -> list[float]:
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return [weight / sum(weights) for weight in weights]
