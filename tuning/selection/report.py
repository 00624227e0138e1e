"""What was kept and dropped and why: for the screen, and as the record beside the files."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from evaluation.run_record import describe_data, versions
from tuning.selection.rows import Usable
from tuning.selection.sampling import HELD_OUT, Selected, strata

Drops = Mapping[tuple[str, str], int]
_VERSIONS = ("python", "shopalign")


def all_drops(dropped: Drops, near: Sequence[Usable]) -> Counter[tuple[str, str]]:
    """Return what was dropped by task and reason, with the rows that are too near to held-out ones."""
    return Counter(dropped) + Counter((row.question.task_name, HELD_OUT) for row in near)


def file_record(path: Path, **counts: object) -> dict[str, object]:
    """Return a file's name and SHA-256, with what is known of it."""
    return {"file": path.name, "sha256": describe_data(path, 0)["sha256"], **counts}


def record(selected: Selected, drops: Drops, sizes: Sequence[int], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return selection.json: what the command line told, then counts by task of what is dropped and drawn."""
    sets = {f"train_{size}": selected.training[:size] for size in sizes}
    return {
        **told,
        "versions": {name: versions()[name] for name in _VERSIONS},
        "dropped": {reason: _by_task(drops, reason) for reason in _reasons(drops)},
        "available": len(selected.training),
        "sets": {name: _counts(rows) for name, rows in {**sets, "held_out": selected.held_out}.items()},
    }


def print_report(selected: Selected, drops: Drops, sizes: Sequence[int], console: Console) -> None:
    """Print what was drawn of each task, and what was dropped by task and reason."""
    columns = ["held out", *map(str, sizes), "available"]
    counts = [_counts(rows) for rows in (selected.held_out, *(selected.training[:size] for size in sizes))]
    counts.append(_counts(selected.training))
    names = sorted({name for each in counts for name in each})
    _print(console, ["task", *columns], [[name, *(each.get(name, 0) for each in counts)] for name in names])
    reasons = _reasons(drops)
    if reasons:
        tasks = sorted({task for task, _ in drops})
        rows = [[reason, sum(_by_task(drops, reason).values()), _listed(drops, reason, tasks)] for reason in reasons]
        _print(console, ["dropped because", "rows", "of tasks"], rows)


def _reasons(drops: Drops) -> list[str]:
    return sorted({reason for _, reason in drops})


def _by_task(drops: Drops, reason: str) -> dict[str, int]:
    return {task: count for (task, why), count in sorted(drops.items()) if why == reason}


def _listed(drops: Drops, reason: str, tasks: Sequence[str]) -> str:
    return ", ".join(f"{task} {drops[task, reason]}" for task in tasks if drops.get((task, reason)))


def _counts(rows: Sequence[Usable]) -> dict[str, int]:
    return {name: len(members) for name, members in sorted(strata(rows).items())}


def _print(console: Console, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        right = bool(rows) and isinstance(rows[0][index], int)
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in [*rows, _total(rows)]:
        table.add_row(*map(str, row))
    console.print(table)
    console.print()


def _total(rows: Sequence[Sequence[object]]) -> list[object]:
    columns = [[each for each in column if isinstance(each, int)] for column in zip(*rows, strict=True)]
    return ["all", *(sum(column) if column else "" for column in columns[1:])]
