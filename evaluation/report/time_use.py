"""Time and tokens of a run against what each track of the challenge allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation.loop import SECONDS_PER_SAMPLE
from evaluation.report.runs import Run
from utilities.tracks import SECONDS_A_QUESTION, TRACK_3_QUESTIONS, TRACKS, Track


@dataclass(frozen=True)
class BatchTime:
    """One batch: its task type, how many questions it held, and its seconds."""

    task_type: str
    questions: int
    seconds: float

    @property
    def per_question(self) -> float:
        """Seconds a question, of which the evaluator allows ten."""
        return self.seconds / self.questions


@dataclass(frozen=True)
class TrackTime:
    """What a track's questions took, and what all its questions would take at that pace.

    `expected` is the number of questions that the track is taken to have, `minutes` those that they would take with
    loading; tokens are None for a run without a trace.
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
        """Of the track's time, 1 at the limit."""
        return self.minutes / self.track.minutes

    @property
    def verdict(self) -> str:
        """Whether the track's questions would be answered in its time."""
        return "within" if self.share <= 1 else "OVER"


def batch_times(run: Run) -> list[BatchTime]:
    """Return the batches in the order in which they were asked; none where nobody noted them."""
    members: dict[int, list[int]] = {}
    for index, record in enumerate(run.questions):
        if record.batch is not None and record.seconds is not None:
            members.setdefault(record.batch, []).append(index)
    return [_batch(run, members[number]) for number in sorted(members)]


def _batch(run: Run, indices: Sequence[int]) -> BatchTime:
    questions = [run.questions[index] for index in indices]
    return BatchTime(
        questions[0].question.task_type.value, len(indices), sum(each.seconds or 0.0 for each in questions)
    )


def slowest(batches: Sequence[BatchTime]) -> BatchTime:
    """Return the batch that came nearest to its limit."""
    return max(batches, key=lambda batch: batch.per_question)


def share_of_limit(batch: BatchTime) -> float:
    """Return a batch's seconds over those after which the evaluator ends the submission."""
    return batch.per_question / SECONDS_PER_SAMPLE


def track_times(run: Run) -> list[TrackTime]:
    """Return what each track took; the last track is asked all questions. None where no time was noted."""
    return [found for track in TRACKS if (found := _track_time(run, track)) is not None]


def questions_of(track: Track) -> int:
    """Return how many questions a track is taken to have: known for track 3 alone, the others at its pace."""
    return TRACK_3_QUESTIONS if track.number == 3 else round(track.minutes * 60 / SECONDS_A_QUESTION)


def _track_time(run: Run, track: Track) -> TrackTime | None:
    whole = track is TRACKS[-1]
    asked = [
        (index, record.seconds)
        for index, record in enumerate(run.questions)
        if record.seconds is not None and (whole or record.question.track == track.challenge_id)
    ]
    if not asked:
        return None
    traced = [run.trace[index] for index, _ in asked] if run.trace else []
    pace, expected = fmean(seconds for _, seconds in asked), questions_of(track)
    loading = run.record["seconds"].get("load") or 0.0
    return TrackTime(
        track=track,
        questions=len(asked),
        seconds_per_question=pace,
        expected=expected,
        minutes=(pace * expected + loading) / 60,
        tokens_read=fmean(each.tokens_read for each in traced) if traced else None,
        tokens_written=fmean(each.tokens_written for each in traced) if traced else None,
    )
