"""Diagnostics of a run beside its scores: time against the limits, calibration, and detection of task types."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation.loop import Batch
from evaluation.parsers import parse
from evaluation.question_record import QuestionRecord
from evaluation.report.runs import Run
from prompts.prompt import softmax
from utilities.task_type import TaskType
from utilities.tracks import SECONDS_A_QUESTION, TRACK_3_QUESTIONS, TRACKS, Track

BINS = 10


@dataclass(frozen=True)
class TypedBatch(Batch):
    """A batch with its task type."""

    task_type: str


@dataclass(frozen=True)
class TrackTime:
    """The time of a track's questions, and of all the track's questions at that pace.

    `expected` is the assumed number of all questions, `minutes` the time that they and loading take; tokens are means
    of a question, None for a run without a trace.
    """

    track: Track
    questions: int
    seconds_per_question: float
    expected: int
    minutes: float
    tokens_read: float | None
    tokens_written: float | None

    @property
    def share(self) -> float:
        """The share of the track's time, 1 at the limit."""
        return self.minutes / self.track.minutes

    @property
    def verdict(self) -> str:
        """Whether the track's time is enough for its questions."""
        return "within" if self.share <= 1 else "OVER"


def batch_times(run: Run) -> list[TypedBatch]:
    """Return the batches in the order of asking, or none if the run recorded none."""
    batches: dict[int, list[QuestionRecord]] = defaultdict(list)
    for record in run.questions:
        if record.batch is not None and record.seconds is not None:
            batches[record.batch].append(record)
    return [
        TypedBatch(len(records), sum(record.seconds or 0.0 for record in records), records[0].question.task_type.value)
        for _, records in sorted(batches.items())
    ]


def track_times(run: Run) -> list[TrackTime]:
    """Return each track's time, for tracks with timed questions; the last track is asked all questions."""
    return [found for track in TRACKS if (found := _track_time(run, track)) is not None]


def _track_time(run: Run, track: Track) -> TrackTime | None:
    asked = {
        index: record.seconds
        for index, record in enumerate(run.questions)
        if record.seconds is not None and (track is TRACKS[-1] or record.question.track == track.challenge_id)
    }
    if not asked:
        return None
    # Only track 3 has a known number of questions; the others are assumed to have its pace.
    expected = TRACK_3_QUESTIONS if track.number == 3 else round(track.minutes * 60 / SECONDS_A_QUESTION)
    traced = [run.trace[index] for index in asked] if run.trace else []
    pace, loading = fmean(asked.values()), run.record["seconds"]["load"] or 0.0
    return TrackTime(
        track=track,
        questions=len(asked),
        seconds_per_question=pace,
        expected=expected,
        minutes=(pace * expected + loading) / 60,
        tokens_read=fmean(each.tokens_read for each in traced) if traced else None,
        tokens_written=fmean(each.tokens_written for each in traced) if traced else None,
    )


@dataclass(frozen=True)
class Bin:
    """Questions whose most probable label has a probability from `low` to `high`.

    `confidence` is the mean of those probabilities, `right` the share of right labels.
    """

    low: float
    high: float
    questions: int
    confidence: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """The calibration of one kind of score; `bins` are those that hold questions."""

    name: str
    bins: tuple[Bin, ...]
    questions: int
    confidence: float
    right: float
    error: float


def calibrations(run: Run) -> list[Calibration]:
    """Return the calibration of the model's scores and of the scores with evidence, if the run has them."""
    named = {"model alone": "model_scores", "with evidence": "scores"}
    tried = ((name, list(_tops(run, field))) for name, field in named.items())
    return [calibration(name, tops) for name, tops in tried if tops]


def calibration(name: str, tops: Sequence[tuple[float, bool]]) -> Calibration:
    """Sort probabilities of chosen labels, each with whether the label is right, into bins of equal width.

    The expected calibration error is the sum over bins of (questions / all questions) * |right - confidence|: Naeini,
    Cooper and Hauskrecht (2015), "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; equation 3 of Guo et
    al. (2017), "On Calibration of Modern Neural Networks". A probability on a border belongs to the lower bin.
    """
    binned: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for top in tops:
        binned[max(math.ceil(top[0] * BINS) - 1, 0)].append(top)
    bins = tuple(
        Bin(number / BINS, (number + 1) / BINS, len(inside), *_means(inside))
        for number, inside in sorted(binned.items())
    )
    error = sum(each.questions / len(tops) * abs(each.right - each.confidence) for each in bins)
    return Calibration(name, bins, len(tops), *_means(tops), error)


def _means(tops: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    return fmean(probability for probability, _ in tops), fmean(right for _, right in tops)


def _tops(run: Run, field: str) -> Iterator[tuple[float, bool]]:
    """Yield the highest probability of each multiple-choice question with scores, and whether its label is right."""
    for record, traced in zip(run.questions, run.trace or (), strict=False):
        scores: Sequence[float] = getattr(traced, field)
        if record.question.task_type is TaskType.MULTIPLE_CHOICE and scores:
            probabilities = softmax(scores)
            best = max(range(len(scores)), key=probabilities.__getitem__)
            chosen = parse(TaskType.MULTIPLE_CHOICE, traced.labels[best])
            yield probabilities[best], chosen == record.question.output_field


@dataclass(frozen=True)
class Confusion:
    """Counts of questions, `counts[true][detected]`, in the order of `TaskType`.

    `runs` are those that detected the same type for every question; `first` is the number of their first in the page.
    """

    runs: tuple[str, ...]
    first: int
    counts: tuple[tuple[int, ...], ...]

    @property
    def right(self) -> int:
        """Questions whose type was detected correctly."""
        return sum(row[index] for index, row in enumerate(self.counts))

    @property
    def questions(self) -> int:
        """All questions."""
        return sum(map(sum, self.counts))


def confusions(runs: Sequence[Run]) -> list[Confusion]:
    """Return a confusion matrix for each group of runs that detected the same, question by question."""
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, run in enumerate(runs):
        if run.trace is not None:
            alike[tuple(traced.task_type for traced in run.trace)].append(number)
    found = []
    for detected, numbers in alike.items():
        true = [record.question.task_type.value for record in runs[numbers[0]].questions]
        counted = Counter(zip(true, detected, strict=True))
        counts = tuple(tuple(counted[row.value, column.value] for column in TaskType) for row in TaskType)
        found.append(Confusion(tuple(runs[number].name for number in numbers), numbers[0], counts))
    return found
