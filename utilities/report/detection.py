"""Which task types were taken for which."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from prompts.task_type import TaskType
from utilities.report.runs import Run


@dataclass(frozen=True)
class Confusion:
    """Counts of questions, `counts[true][detected]`, in the order of `TaskType`; `runs` share them."""

    runs: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def right(self) -> int:
        """Questions whose type was detected."""
        return sum(row[index] for index, row in enumerate(self.counts))

    @property
    def questions(self) -> int:
        """All questions."""
        return sum(map(sum, self.counts))


def confusions(runs: Sequence[Run]) -> list[Confusion]:
    """Return the different confusions of the runs that have a trace."""
    found: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for run in runs:
        if run.trace is not None:
            found.setdefault(_counts(run), []).append(run.name)
    return [Confusion(tuple(names), counts) for counts, names in found.items()]


def _counts(run: Run) -> tuple[tuple[int, ...], ...]:
    pairs = zip(run.questions, run.trace or (), strict=True)
    counted = Counter((record.question.task_type.value, traced.task_type) for record, traced in pairs)
    return tuple(tuple(counted[true.value, detected.value] for detected in TaskType) for true in TaskType)
