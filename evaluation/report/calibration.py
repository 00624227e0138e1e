"""How far the probabilities of labels can be believed: of answers given at 0.7, seven in ten should be right."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation.parsers import parse
from evaluation.report.runs import Run
from utilities.task_type import TaskType

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Questions whose most probable label has a probability from `low` to `high`.

    `confidence` is the mean of those probabilities, `right` the share of right labels; both None without questions.
    """

    low: float
    high: float
    questions: int
    confidence: float | None
    right: float | None


@dataclass(frozen=True)
class Calibration:
    """The probabilities from one kind of score, over all questions with options that have one."""

    name: str
    bins: tuple[Bin, ...]
    questions: int
    confidence: float
    right: float
    error: float


def softmax(scores: Sequence[float]) -> list[float]:
    """Return exp(score) of each over their sum."""
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]


def calibrations(run: Run) -> list[Calibration]:
    """Return how well the model's own scores and those that decide are calibrated, where the run has any."""
    named = {"model alone": "model_scores", "with evidence": "scores"}
    tried = ((name, list(_tops(run, field))) for name, field in named.items())
    return [calibration(name, tops) for name, tops in tried if tops]


def calibration(name: str, tops: Sequence[tuple[float, bool]]) -> Calibration:
    """Gather probabilities of the chosen labels, and whether these were right, into bins of equal width.

    The expected calibration error is the sum over bins of (questions / all questions) * |right - confidence|: Naeini,
    Cooper and Hauskrecht (2015), "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; equation 3 of Guo et
    al. (2017), "On Calibration of Modern Neural Networks".
    """
    bins = tuple(_bin(number, tops) for number in range(BINS))
    error = sum(
        each.questions / len(tops) * abs(each.right - each.confidence)
        for each in bins
        if each.right is not None and each.confidence is not None
    )
    confidence, right = fmean(p for p, _ in tops), fmean(float(is_right) for _, is_right in tops)
    return Calibration(name, bins, len(tops), confidence, right, error)


def _bin(number: int, tops: Sequence[tuple[float, bool]]) -> Bin:
    """Return one bin; a probability on a border belongs to the lower one, as the sources have it."""
    inside = [(p, is_right) for p, is_right in tops if _bin_of(p) == number]
    low, high = number / BINS, (number + 1) / BINS
    if not inside:
        return Bin(low, high, 0, None, None)
    return Bin(low, high, len(inside), fmean(p for p, _ in inside), fmean(float(right) for _, right in inside))


def _bin_of(probability: float) -> int:
    return max(math.ceil(probability * BINS) - 1, 0)


def _tops(run: Run, field: str) -> Iterator[tuple[float, bool]]:
    """Yield the highest probability of each question with one right option, and whether it is the right one's."""
    for record, traced in zip(run.questions, run.trace or (), strict=False):
        scores: Sequence[float] = getattr(traced, field)
        if record.question.task_type is TaskType.MULTIPLE_CHOICE and scores:
            probabilities = softmax(scores)
            best = max(range(len(scores)), key=probabilities.__getitem__)
            chosen = parse(TaskType.MULTIPLE_CHOICE, traced.labels[best])
            yield probabilities[best], chosen == record.question.output_field
