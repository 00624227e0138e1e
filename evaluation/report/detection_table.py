"""Which task types were taken for which."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.report.runs import Run
from utilities.task_type import TaskType


@dataclass(frozen=True)
class Confusion:
    """Counts of questions, `counts[true][detected]`, in the order of `TaskType`.

    `runs` took every question for the same type; `first` is the number of the first of them in the page.
    """

    runs: tuple[str, ...]
    first: int
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
    """Return one confusion for all runs with a trace that detected the same; equal counts alone may hide others."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for number, run in enumerate(runs):
        if run.trace is not None:
            alike.setdefault(tuple(traced.task_type for traced in run.trace), []).append(number)
    return [_confusion(runs, detected, numbers) for detected, numbers in alike.items()]


def _confusion(runs: Sequence[Run], detected: Sequence[str], numbers: Sequence[int]) -> Confusion:
    pairs = zip(runs[numbers[0]].questions, detected, strict=True)
    counted = Counter((record.question.task_type.value, found) for record, found in pairs)
    counts = tuple(tuple(counted[true.value, found.value] for found in TaskType) for true in TaskType)
    return Confusion(tuple(runs[number].name for number in numbers), numbers[0], counts)
