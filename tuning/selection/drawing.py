"""Draws held-out rows, and orders the training rows so that every prefix holds the tasks in the same proportion."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from tuning.selection.decontamination import UnseenContent
from tuning.selection.rows import Usable, stratum_name
from utilities.errors import UserError

Value = TypeVar("Value", int, float)


@dataclass(frozen=True)
class Shares:
    """How tasks share the sample.

    Attributes:
        most: the most rows of a task by its name, of every other task by "".
        weights: the factor of a task's share by its name, 1 for other tasks.
    """

    most: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)


class Selected(NamedTuple):
    """Training rows (their prefixes are the training sets), held-out rows, and rows too similar to held-out rows."""

    training: list[Usable]
    held_out: list[Usable]
    too_near: list[Usable]


def select(rows: Sequence[Usable], shares: Shares, held_out: int, seed: int) -> Selected:
    """Draw the held-out rows, drop rows that share content with them, and order the rest.

    Raises:
        UserError: a share names a task without rows.
    """
    _check_names(rows, shares)
    apart = interleaved(rows, shares, f"{seed} held out")[:held_out]
    taken = {id(row) for row in apart}
    unseen = UnseenContent([row.parts for row in apart], [row.parts for row in rows])
    free: list[Usable] = []
    near: list[Usable] = []
    for row in rows:
        if id(row) not in taken:
            (near if unseen.touches(row.parts.words) else free).append(row)
    return Selected(interleaved(free, shares, str(seed)), apart, near)


def interleaved(rows: Sequence[Usable], shares: Shares, seed: str) -> list[Usable]:
    """Order rows so that each prefix holds the tasks in proportion to their rows times their weights.

    Row i of a task with n rows and weight w has the position (i + 1/2) / (n w). After the last row of a task, the
    others take its place.
    """
    placed: list[tuple[float, str, int, Usable]] = []
    for stratum, members in sorted(strata(rows).items()):
        # A generator for each task: another task's rows do not change this one's order.
        random.Random(f"{seed} {stratum}").shuffle(members)
        task = members[0].question.task_name
        kept = members[: _of_task(shares.most, stratum, task, len(members))]
        step = 1 / (len(kept) * _of_task(shares.weights, stratum, task, 1.0)) if kept else 0.0
        placed += [((index + 0.5) * step, stratum, index, row) for index, row in enumerate(kept)]
    return [row for *_, row in sorted(placed, key=lambda each: each[:3])]


def strata(rows: Sequence[Usable]) -> dict[str, list[Usable]]:
    """Group rows by task; a task with several task types is a group for each of them."""
    types: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        types[row.question.task_name].add(row.question.task_type)
    found: dict[str, list[Usable]] = defaultdict(list)
    for row in rows:
        name = row.question.task_name
        found[stratum_name(row.question) if len(types[name]) > 1 else name].append(row)
    return found


def _of_task(values: Mapping[str, Value], stratum: str, task: str, default: Value) -> Value:
    return next((values[name] for name in (stratum, task, "") if name in values), default)


def _check_names(rows: Sequence[Usable], shares: Shares) -> None:
    known = {*strata(rows), *(row.question.task_name for row in rows), ""}
    for option, names in (("--most", shares.most), ("--weight", shares.weights)):
        if unknown := sorted(set(names) - known):
            listed = ", ".join(sorted(known - {""}))
            raise UserError(f"{option}: no row is left of a task {unknown[0]!r}: name one of {listed}")
