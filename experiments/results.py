"""What the rows of a table scored, each beside the first: columns, paired intervals, seconds, fallbacks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.planning import Planned
from experiments.running import CODE
from experiments.table import COLUMNS, TYPE_OF
from utilities.intervals import Interval
from utilities.report.runs import read_run
from utilities.report.score_tables import Difference, Line, score_tables


@dataclass(frozen=True)
class Cell:
    """A column of a row; `difference` is its score minus the first row's, None for the first row."""

    score: Interval
    difference: Difference | None


@dataclass(frozen=True)
class Result:
    """One row's run: its columns by name, those without questions left out.

    `seconds` are those of prediction, a question; `code` tells the code that made the run.
    """

    name: str
    cells: Mapping[str, Cell]
    seconds: float
    fallbacks: int
    questions: int
    weights: str
    code: str


def results(planned: Sequence[Planned], seed: int) -> dict[str, Result]:
    """Return what each finished row scored, by its name; intervals are those of `seed`."""
    finished = [each for each in planned if not each.missing and each.finished]
    if not finished:
        return {}
    runs = [replace(read_run(each.folder), name=each.row.name) for each in finished]
    tables = score_tables(runs, seed)
    lines = {"score": tables.overall}
    types = {line.name: line for line in tables.task_types}
    lines |= {column: types[kind.value] for column, kind in TYPE_OF.items() if kind.value in types}
    found = {}
    for number, (each, run) in enumerate(zip(finished, runs, strict=True)):
        cells = {column: _cell(lines[column], number) for column in COLUMNS if column in lines}
        seconds, told = run.record["seconds"], run.record.get("fallbacks") or {}
        found[each.row.name] = Result(
            name=each.row.name,
            cells={column: cell for column, cell in cells.items() if cell is not None},
            seconds=float(seconds["predict"]) / len(run.questions),
            fallbacks=int(told.get("total", 0)),
            questions=len(run.questions),
            weights=_weights(run.record.get("weights")),
            code=_code(each.folder),
        )
    return found


def _cell(line: Line, number: int) -> Cell | None:
    score = line.scores[number]
    return Cell(score, line.differences[number - 1] if number else None) if score else None


def _weights(told: object) -> str:
    """Return what a run's record says of its weights: the fingerprint of the base, and of adapters."""
    if not isinstance(told, Mapping):
        return ""
    adapters = told.get("adapters") or {}
    prints = [told.get("fingerprint", ""), *(adapters.values() if isinstance(adapters, Mapping) else ())]
    return "+".join(str(each)[:12] for each in prints if each)


def _code(folder: Path) -> str:
    path = folder / CODE
    return str(json.loads(path.read_text(encoding="utf-8"))["code"]) if path.is_file() else "unknown"
