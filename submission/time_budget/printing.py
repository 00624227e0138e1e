"""The time budget as tables for people and as JSON."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from evaluation.score_table import console_for
from submission.time_budget.prediction import Machine, Memory
from submission.time_budget.token_figures import Counting
from submission.time_budget.track_questions import Share, TrackBudget

SECONDS_PER_SAMPLE = 10.0
_TRACK_COLUMNS = ("track", "questions", "prefill tokens", "decode steps", "minutes", "+ loading", "limit", "share")
_COLUMNS = (*_TRACK_COLUMNS, "verdict", "floor minutes", "slowest s/question")
_SHARE_COLUMNS = ("task type", "questions", "prefill tokens", "decode steps", "minutes", "floor minutes")


@dataclass(frozen=True)
class Prediction:
    """All that was predicted for one machine, and on what ground."""

    machine: Machine
    counting: Counting
    questions: Mapping[int, int]
    budgets: tuple[TrackBudget, ...]
    memory: Memory

    def verdict(self, budget: TrackBudget) -> str:
        """Say in a word whether a track can be run: memory first, then both clocks."""
        if not self.memory.fits:
            return "NO MEMORY"
        if budget.limit_share > 1:
            return "OVER"
        return "TOO SLOW" if budget.slowest_seconds > SECONDS_PER_SAMPLE else "within"

    def assumptions(self) -> list[tuple[str, str]]:
        """Return all that the figures rest on beside the model's shape, as name and value."""
        device, general, entry = self.machine.device, self.machine.assumptions, self.machine.entry
        awq, shared, continuous = entry.quantisation == "awq", self.machine.together > 1, self.machine.continuous
        peaks = f"{device.flops(entry.value_bytes) / 1e12:.3g} TFLOP/s, {device.bandwidth_gb:.4g} GB/s a device"
        exchange = f"{device.interconnect_gb:.4g} GB/s, {device.interconnect_microseconds:.0f} us a transfer"
        start = f", {general.start_seconds:.0f} s to start" if continuous else ""
        questions = ", ".join(f"track {number}: {count:,}" for number, count in self.questions.items())
        rows = [
            ("peak", peaks, True),
            ("prefill_efficiency", f"{device.prefill_efficiency:.2f} of the peak", True),
            ("decode_efficiency", f"{device.decode_efficiency:.2f} of the bandwidth", True),
            ("awq_efficiency", f"{device.awq_efficiency:.2f} of that again in 4-bit kernels", awq),
            ("unpack_from_tokens", f"{general.unpack_from_tokens}; larger passes unpack 4-bit matrices first", awq),
            ("interconnect", exchange, shared),
            ("layer_microseconds", f"{device.layer_microseconds:.0f} a layer and pass", True),
            ("pass_tokens", f"at most {general.pass_tokens} are read in a pass", continuous),
            ("loading", f"{general.disk_gb:.2g} GB/s from disk{start}", True),
            ("tokens", self.counting.statement, True),
            ("texts", "written to twice their limit of words, which few reach", True),
            (
                "answers",
                f"choice by {entry.choice}, selection by {entry.selection}, spans by {entry.spans}; "
                "no spare time is spent",
                True,
            ),
            ("questions", questions, True),
            ("task types", "in the data's proportions, in full batches", True),
        ]
        return [(name, value) for name, value, applies in rows if applies]

    def to_json(self) -> dict[str, object]:
        """Return all of it as plain values."""
        return {
            "model": self.machine.entry.name,
            "device": asdict(self.machine.device),
            "count": self.machine.count,
            "memory": {**asdict(self.memory), "needed": self.memory.needed, "fits": self.memory.fits},
            "load_seconds": self.machine.load_seconds(),
            "assumptions": dict(self.assumptions()),
            "tracks": [self._track_json(budget) for budget in self.budgets],
        }

    def _track_json(self, budget: TrackBudget) -> dict[str, object]:
        return {
            "track": budget.track.number,
            "limit_minutes": budget.track.minutes,
            "minutes": budget.minutes,
            "floor_minutes": budget.total("floor_seconds") / 60,
            "limit_share": budget.limit_share,
            "verdict": self.verdict(budget),
            "slowest_seconds_a_question": budget.slowest_seconds,
            "shares": [asdict(share) for share in budget.shares],
        }


def print_prediction(prediction: Prediction, detailed: Sequence[int]) -> None:
    """Print all tracks, the task types of the tracks with these numbers, memory and assumptions."""
    console = console_for(sys.stdout)
    _line(console, _heading(prediction.machine))
    _table(console, _COLUMNS, [_track_row(budget, prediction) for budget in prediction.budgets])
    for budget in prediction.budgets:
        if budget.track.number in detailed:
            _line(console, f"track {budget.track.number} by task type")
            _table(console, _SHARE_COLUMNS, [_share_row(share) for share in budget.shares])
    memory = prediction.memory
    figures = {**asdict(memory), "needed": memory.needed}
    rows = [(name, f"{value / 1e9:.2f}") for name, value in figures.items()]
    _table(console, ("GB a device", "fits" if memory.fits else "DOES NOT FIT"), rows)
    _table(console, ("assumption", "value"), prediction.assumptions(), numbers=False)


def _heading(machine: Machine) -> str:
    entry = machine.entry
    weights = f"{entry.shape.parameters / 1e9:.2f}e9 parameters, {entry.weight_bytes / 1e9:.1f} GB"
    kind = entry.dtype if entry.quantisation == "none" else f"{entry.quantisation} and {entry.dtype}"
    return f"{entry.name} ({weights}, {kind}) under {entry.engine} on {machine.count} x {machine.device.name}"


def _track_row(budget: TrackBudget, prediction: Prediction) -> tuple[str, ...]:
    return (
        str(budget.track.number),
        f"{budget.total('questions'):,.0f}",
        f"{budget.total('prefill_tokens'):,.0f}",
        f"{budget.total('decode_steps'):,.0f}",
        f"{budget.minutes:.1f}",
        f"{budget.minutes + budget.load_seconds / 60:.1f}",
        str(budget.track.minutes),
        f"{budget.limit_share:.0%}",
        prediction.verdict(budget),
        f"{budget.total('floor_seconds') / 60:.1f}",
        f"{budget.slowest_seconds:.2f}",
    )


def _share_row(share: Share) -> tuple[str, ...]:
    return (
        share.task_type.value,
        f"{share.questions:,.0f}",
        f"{share.prefill_tokens:,.0f}",
        f"{share.decode_steps:,.0f}",
        f"{share.seconds / 60:.1f}",
        f"{share.floor_seconds / 60:.1f}",
    )


def _table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = True) -> None:
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index and numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if not console.is_terminal:
        console.print()


def _line(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True)
