"""What the rows of a table scored, each beside the first: columns, paired intervals, seconds, fallbacks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from evaluation.intervals import Interval
from evaluation.report.runs import Run, read_run
from evaluation.report.score_tables import Difference, Line, score_tables
from experiments.planning import SCORES, Planned
from experiments.running import CODE
from experiments.table import COLUMNS, TYPE_OF
from utilities.errors import UserError


@dataclass(frozen=True)
class Cell:
    """A column of a row; `difference` is its score minus the first row's, None for the first row."""

    score: Interval
    difference: Difference | None


@dataclass(frozen=True)
class Result:
    """One row's run: its columns by name, those without questions left out.

    `unscored` are the tasks that could not be scored and are left out of all means, with the reason of each.
    `seconds` are those of prediction, a question; `code` tells the code that made the run, on `date` with `versions`;
    `folder` is where it lies.
    """

    name: str
    cells: Mapping[str, Cell]
    unscored: Mapping[str, str]
    seconds: float
    fallbacks: int
    questions: int
    weights: str
    code: str
    date: str
    versions: Mapping[str, str]
    folder: Path


def readable(planned: Sequence[Planned]) -> tuple[list[tuple[Planned, Run]], dict[str, str]]:
    """Return the finished rows with their runs, and why others' cannot be read, by the row's name."""
    found, damaged = [], {}
    for each in planned:
        if each.missing or not each.finished:
            continue
        try:
            found.append((each, replace(read_run(each.folder), name=each.row.name)))
        except UserError as error:
            damaged[each.row.name] = f"its run is damaged ({error}): give --fresh, which runs it anew"
    return found, damaged


def results(planned: Sequence[Planned], found: Sequence[tuple[Planned, Run]], seed: int) -> dict[str, Result]:
    """Return what each of the rows `found` scored, by its name; intervals are those of `seed`.

    Differences are those from the first row of the table; where that has no run, there are none.
    """
    if not found:
        return {}
    finished, runs = zip(*found, strict=True)
    based = finished[0] is planned[0]
    tables = score_tables(runs, seed)
    lines = {"score": tables.overall}
    types = {line.name: line for line in tables.task_types}
    lines |= {column: types[kind.value] for column, kind in TYPE_OF.items() if kind.value in types}
    made = {}
    for number, (each, run) in enumerate(found):
        cells = {column: _cell(lines[column], number, based) for column in COLUMNS if column in lines}
        seconds, fallen = run.record["seconds"], run.record.get("fallbacks") or {}
        made[each.row.name] = Result(
            name=each.row.name,
            cells={column: cell for column, cell in cells.items() if cell is not None},
            unscored={name: str(told["not_scored"]) for name, told in run.tasks.items() if "not_scored" in told},
            seconds=float(seconds["predict"]) / len(run.questions),
            fallbacks=int(fallen.get("total", 0)),
            questions=len(run.questions),
            weights=_weights(run.record.get("weights")),
            folder=each.folder,
            versions=run.record.get("versions") or {},
            **_made(each.folder),
        )
    return made


def _cell(line: Line, number: int, based: bool) -> Cell | None:
    score = line.scores[number]
    return Cell(score, line.differences[number - 1] if number and based else None) if score else None


def _weights(told: object) -> str:
    """Return what a run's record says of its weights: the fingerprint of the base, and of adapters."""
    if not isinstance(told, Mapping):
        return ""
    adapters = told.get("adapters") or {}
    prints = [told.get("fingerprint", ""), *(adapters.values() if isinstance(adapters, Mapping) else ())]
    return "+".join(str(each)[:12] for each in prints if each)


def _made(folder: Path) -> dict[str, str]:
    """Return which code made a run, and on which day."""
    day = datetime.fromtimestamp((folder / SCORES).stat().st_mtime).date().isoformat()
    try:
        told = json.loads((folder / CODE).read_text(encoding="utf-8"))
        return {"code": str(told["code"]), "date": str(told.get("date", day))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"code": "unknown", "date": day}
