"""Draws the plots of the page. A table beside each plot has the same figures, for readers who cannot see it."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from evaluation.loop import SECONDS_PER_SAMPLE
from evaluation.report.diagnostics import Calibration, TypedBatch
from evaluation.report.score_tables import Line
from evaluation.report.svg import FAINT, GRID, INK, RUNS, markup, shortened, width_of
from utilities.task_type import TaskType
from utilities.tracks import SECONDS_A_QUESTION

_WIDTH = 5.0
_TEXT = 10
_MARKERS = ("o", "s", "D", "^", "v", "P")
MARKS = "●■◆▲▼✚"
"""The markers of the runs, as letters."""

_SPREAD = 0.5
_POINTS = 72
_WIDEST_NAME = 0.45 * _WIDTH * _POINTS
_BESIDE_NAME = 12


def score_plot(runs: int, scored: Sequence[Line]) -> Markup:
    """Draw each run's score of each line, at least one, as a mark with its interval.

    The page names the runs of the marks (`MARKS`) beside the plot, where long names have room.
    """
    labels = [shortened(line.name, _TEXT, _WIDEST_NAME) for line in scored]
    height = 0.6 + len(scored) * (0.26 + 0.1 * (runs - 1))
    margin = max(width_of(label, _TEXT) for label in labels) + _BESIDE_NAME
    figure, axes = _axes(height, left=margin / (_WIDTH * _POINTS), above=0.1)
    for run in range(runs):
        offset = _SPREAD * (run / (runs - 1) - 0.5) if runs > 1 else 0.0
        for place, line in enumerate(scored):
            if (score := line.scores[run]) is not None:
                axes.plot([score.low, score.high], [place + offset] * 2, color=RUNS[run], linewidth=2)
                mark = {"color": RUNS[run], "markersize": 5, "clip_on": False, "zorder": 3}
                axes.plot([score.value], [place + offset], _MARKERS[run], **mark)
    # Otherwise Matplotlib would set a pair of dollar signs as a formula.
    axes.set_yticks(range(len(scored)), labels, parse_math=False)
    axes.set_ylim(len(scored) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_xlabel("score with 95 % interval")
    return markup(figure, "scores", f"Scores of {len(scored)} tasks with intervals; the table has the same figures.")


def time_plot(name: str, run: int, batches: Sequence[TypedBatch]) -> Markup:
    """Draw each batch's seconds a question, in the order of asking, with the evaluator's limit."""
    figure, axes = _axes(2.8, left=0.19, above=0.55)
    axes.semilogy()
    axes.yaxis.set_major_formatter("{x:g}")
    drawn = {batch.task_type for batch in batches}
    kinds = [kind.value for kind in TaskType if kind.value in drawn]
    for kind, marker in zip(kinds, _MARKERS, strict=False):
        points = [(number, batch.per_question) for number, batch in enumerate(batches, 1) if batch.task_type == kind]
        look = {"color": RUNS[kinds.index(kind)], "markersize": 4, "linestyle": "none"}
        axes.plot(*zip(*points, strict=True), marker, label=kind.replace("_", " "), **look)
    for limit, words in ((SECONDS_PER_SAMPLE, "limit of a sample"), (SECONDS_A_QUESTION, "pace of the tracks")):
        axes.axhline(limit, color=INK, linewidth=1, linestyle="--" if limit == SECONDS_PER_SAMPLE else ":")
        place = axes.get_yaxis_transform()
        axes.text(0.99, limit, words, transform=place, ha="right", va="bottom", color=INK, fontsize=9)
    axes.set_xlabel("batch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("seconds a question")
    axes.set_ylim(top=max(30.0, 2 * max(batch.per_question for batch in batches)))
    _legend(axes)
    return markup(figure, f"time{run}", f"Seconds a question of the {len(batches)} batches of {name}.")


def reliability_plot(name: str, run: int, found: Sequence[Calibration]) -> Markup:
    """Draw the share of right answers against the mean probability of each bin."""
    figure, axes = _axes(3.6, left=0.13)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle="--", label="perfect")
    for number, each in enumerate(found):
        x, y, sizes = zip(*((b.confidence, b.right, b.questions) for b in each.bins), strict=True)
        axes.plot(x, y, color=RUNS[number], linewidth=1.2)
        areas = [20 + 120 * size / each.questions for size in sizes]
        axes.scatter(x, y, s=areas, marker=_MARKERS[number], color=RUNS[number], label=each.name, zorder=3)
    axes.set(xlim=(0, 1.03), ylim=(-0.03, 1.03), xlabel="probability of the label", ylabel="share of right answers")
    axes.grid(color=GRID, linewidth=0.8)
    _legend(axes)
    return markup(figure, f"calibration{run}", f"Reliability of {name}: share of right answers over probability.")


def _axes(height: float, left: float, above: float = 0.35) -> tuple[Figure, Any]:
    """Return a figure of the page's width with one plain pair of axes; `height` and `above` are in inches."""
    figure = Figure((_WIDTH, height))
    figure.patch.set_visible(False)
    axes: Any = figure.subplots()
    figure.subplots_adjust(left=left, right=0.97, top=1 - above / height, bottom=0.5 / height)
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(which="both", colors=INK, labelsize=_TEXT, color=FAINT)
    axes.xaxis.label.set(color=INK, fontsize=_TEXT)
    axes.yaxis.label.set(color=INK, fontsize=_TEXT)
    return figure, axes


def _legend(axes: Any) -> None:
    """Draw the legend above the axes, where it hides nothing, from the left of the figure, for most room."""
    place = blended_transform_factory(axes.figure.transFigure, axes.transAxes)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.04, 1.0), bbox_transform=place, ncols=3, frameon=False, labelcolor=INK,
        fontsize=9, handletextpad=0.2, columnspacing=1.0, borderaxespad=0.1, markerscale=0.9,
    )  # fmt: skip
