"""Prints the time budget as tables, and converts it to JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from evaluation.loop import SECONDS_PER_SAMPLE
from submission.time_budget.prediction import Machine, Memory
from submission.time_budget.token_counting import Counting
from submission.time_budget.track_questions import Cost, TrackBudget
from utilities.printed_tables import print_table
from utilities.tracks import Track

_COLUMNS = ("questions", "prefill tokens", "decode steps", "minutes")
_TRACK_COLUMNS = ("track", *_COLUMNS, "+ loading", "limit", "share", "verdict", "floor minutes", "slowest s/question")
_SHARE_COLUMNS = ("task type", *_COLUMNS, "floor minutes")


@dataclass(frozen=True)
class Prediction:
    """The prediction for one machine, with its assumptions."""

    machine: Machine
    counting: Counting
    questions: Mapping[int, int]
    budgets: tuple[TrackBudget, ...]
    memory: Memory

    def verdict(self, budget: TrackBudget) -> str:
        """Return whether a track can be run, in a word: memory is checked first, then both time limits."""
        if not self.memory.fits:
            return "NO MEMORY"
        if budget.limit_share > 1:
            return "OVER"
        return "TOO SLOW" if budget.total.slowest_seconds > SECONDS_PER_SAMPLE else "within"

    def assumptions(self) -> dict[str, str]:
        """Return the assumptions behind the figures, beside the model's shape."""
        device, general, entry = self.machine.device, self.machine.assumptions, self.machine.entry
        awq, shared, continuous = entry.quantisation == "awq", self.machine.together > 1, self.machine.continuous
        start = f", {general.start_seconds:.0f} s to start" if continuous else ""
        peak = f"{device.flops(entry.value_bytes) / 1e12:.3g} TFLOP/s, {device.bandwidth_gb:.4g} GB/s per device"
        exchange = f"{device.interconnect_gb:.4g} GB/s, {device.interconnect_microseconds:.0f} us per transfer"
        unpacking = f"{general.unpack_from_tokens}; larger passes unpack 4-bit matrices first"
        answers = f"choice by {entry.choice}, selection by {entry.selection}, spans by {entry.spans}"
        return {
            "peak": peak,
            "prefill_efficiency": f"{device.prefill_efficiency:.2f} of the peak",
            "decode_efficiency": f"{device.decode_efficiency:.2f} of the bandwidth",
            **({"awq_efficiency": f"{device.awq_efficiency:.2f} of that again in 4-bit kernels"} if awq else {}),
            **({"unpack_from_tokens": unpacking} if awq else {}),
            **({"interconnect": exchange} if shared else {}),
            "layer_microseconds": f"{device.layer_microseconds:.0f} per layer and pass",
            **({"pass_tokens": f"a pass reads {general.pass_tokens} at most"} if continuous else {}),
            "loading": f"{general.disk_gb:.2g} GB/s from disk{start}",
            "tokens": self.counting.statement,
            "texts": "written to twice their limit of words, which few reach",
            "answers": f"{answers}; no spare time is used",
            "questions": ", ".join(f"track {number}: {count:,}" for number, count in self.questions.items()),
            "task types": "in the data's proportions, in full batches",
        }

    def to_json(self) -> dict[str, object]:
        """Return the whole prediction as plain values."""
        return {
            "model": self.machine.entry.name,
            "device": asdict(self.machine.device),
            "count": self.machine.count,
            "memory": {**asdict(self.memory), "needed": self.memory.needed, "fits": self.memory.fits},
            "load_seconds": self.machine.load_seconds(),
            "assumptions": self.assumptions(),
            "tracks": [self._track_json(budget) for budget in self.budgets],
        }

    def _track_json(self, budget: TrackBudget) -> dict[str, object]:
        return {
            "track": budget.track.number,
            "limit_minutes": budget.track.minutes,
            "minutes": budget.minutes,
            "floor_minutes": budget.total.floor_seconds / 60,
            "limit_share": budget.limit_share,
            "verdict": self.verdict(budget),
            "slowest_seconds_a_question": budget.total.slowest_seconds,
            "shares": [{"task_type": task_type, **asdict(cost)} for task_type, cost in budget.shares.items()],
        }


def print_prediction(prediction: Prediction, detailed: Sequence[Track]) -> None:
    """Print all tracks, the task types of the `detailed` ones, memory and assumptions."""
    print(_heading(prediction.machine))
    print_table(_TRACK_COLUMNS, [_track_row(budget, prediction) for budget in prediction.budgets])
    for budget in prediction.budgets:
        if budget.track in detailed:
            print(f"track {budget.track.number} by task type")
            rows = [(name.value, *_figures(cost), _minutes(cost.floor_seconds)) for name, cost in budget.shares.items()]
            print_table(_SHARE_COLUMNS, rows)
    memory = prediction.memory
    sizes = {**asdict(memory), "needed": memory.needed}.items()
    fits = "fits" if memory.fits else "DOES NOT FIT"
    print_table(("GB per device", fits), [(name, f"{size / 1e9:.2f}") for name, size in sizes])
    print_table(("assumption", "value"), prediction.assumptions().items(), texts=2)


def _heading(machine: Machine) -> str:
    entry = machine.entry
    weights = f"{entry.shape.parameters / 1e9:.2f}e9 parameters, {entry.weight_bytes / 1e9:.1f} GB"
    kind = entry.dtype if entry.quantisation == "none" else f"{entry.quantisation} and {entry.dtype}"
    return f"{entry.name} ({weights}, {kind}) under {entry.engine} on {machine.count} x {machine.device.name}"


def _track_row(budget: TrackBudget, prediction: Prediction) -> tuple[str, ...]:
    total = budget.total
    return (
        str(budget.track.number),
        *_figures(total),
        _minutes(total.seconds + budget.load_seconds),
        str(budget.track.minutes),
        f"{budget.limit_share:.0%}",
        prediction.verdict(budget),
        _minutes(total.floor_seconds),
        f"{total.slowest_seconds:.2f}",
    )


def _figures(cost: Cost) -> tuple[str, ...]:
    counts = (cost.questions, cost.prefill_tokens, cost.decode_steps)
    return (*(f"{count:,.0f}" for count in counts), _minutes(cost.seconds))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"
