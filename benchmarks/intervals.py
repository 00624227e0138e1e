"""Bootstrap intervals: see `evaluation.intervals`."""

from evaluation.intervals import (
    RESAMPLES,
    Drawn,
    Interval,
    Scored,
    draw,
    drawing,
    interval,
    mean_over_tasks,
    resampled,
    with_intervals,
)

__all__ = [
    "RESAMPLES",
    "Drawn",
    "Interval",
    "Scored",
    "draw",
    "drawing",
    "interval",
    "mean_over_tasks",
    "resampled",
    "with_intervals",
]
