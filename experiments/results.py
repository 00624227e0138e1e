"""Computes the results of finished rows: scores with paired intervals against the first row, seconds, fallbacks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from evaluation.intervals import Interval
from evaluation.report.runs import Run, read_run
from evaluation.report.score_tables import Difference, score_tables
from experiments.row_plan import SCORES, Planned
from experiments.running import CODE
from experiments.table import TYPE_OF
from utilities.errors import UserError


@dataclass(frozen=True)
class Cell:
    """A column of a row; `difference` is its score minus the first row's, None for the first row."""

    score: Interval
    difference: Difference | None


@dataclass(frozen=True)
class Result:
    """One row's run, in `folder`; `cells` are its columns by name, without those that have no score.

    `unscored` are tasks that could not be scored and that no mean includes, with reasons. `seconds` is the time of
    prediction per question. `code` is the hash of the code that made the run, on `date` with `versions`.
    """

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
    """Return the finished rows with their runs, and by row name why a finished run cannot be read."""
    found, damaged = [], {}
    for each in (row for row in planned if row.finished):
        try:
            found.append((each, replace(read_run(each.folder), name=each.row.name)))
        except UserError as error:
            damaged[each.row.name] = f"its run is damaged ({error}): --fresh runs it again"
    return found, damaged


def results(planned: Sequence[Planned], found: Sequence[tuple[Planned, Run]], seed: int) -> dict[str, Result]:
    """Return the result of each row of `found`, by name; `seed` is that of the intervals.

    Differences are those from the first row of the table; if it has no run, there are none.
    """
    if not found:
        return {}
    has_baseline = found[0][0] is planned[0]
    tables = score_tables([run for _, run in found], seed)
    types = {line.name: line for line in tables.task_types}
    lines = {"score": tables.overall} | {name: types[kind] for name, kind in TYPE_OF.items() if kind in types}
    made = {}
    for number, (each, run) in enumerate(found):
        cells = {
            name: Cell(score, line.differences[number - 1] if number and has_baseline else None)
            for name, line in lines.items()
            if (score := line.scores[number])
        }
        made[each.row.name] = _result(each.folder, run, cells)
    return made


def _result(folder: Path, run: Run, cells: Mapping[str, Cell]) -> Result:
    code, day = _made(folder)
    return Result(
        cells=cells,
        unscored={name: str(task["not_scored"]) for name, task in run.tasks.items() if "not_scored" in task},
        seconds=float(run.record["seconds"]["predict"]) / len(run.questions),
        fallbacks=int((run.record.get("fallbacks") or {}).get("total", 0)),
        questions=len(run.questions),
        weights=_weights(run.record.get("weights")),
        code=code,
        date=day,
        versions=run.record.get("versions") or {},
        folder=folder,
    )


def _weights(recorded: object) -> str:
    """Return the first digits of the fingerprints of the base and of its adapters, as the run recorded them."""
    if not isinstance(recorded, Mapping):
        return ""
    adapters = recorded.get("adapters") or {}
    prints = [recorded.get("fingerprint", ""), *(adapters.values() if isinstance(adapters, Mapping) else ())]
    return "+".join(str(each)[:12] for each in prints if each)


def _made(folder: Path) -> tuple[str, str]:
    """Return the hash of the code that made a run, and the day."""
    day = datetime.fromtimestamp((folder / SCORES).stat().st_mtime).date().isoformat()
    try:
        made = json.loads((folder / CODE).read_text(encoding="utf-8"))
        return str(made["code"]), str(made.get("date", day))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "unknown", day
