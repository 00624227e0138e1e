"""A table with its results: on the screen, as Markdown and as JSON."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as Ruled

from evaluation.report.runs import MOST_RUNS
from experiments.planning import Planned
from experiments.results import Cell, Result
from experiments.table import PUBLISHED, Row, Table
from utilities.files import ROOT

_ABSENT = "-"
_TOLD = ("unscored", "seconds", "fallbacks", "questions", "weights", "code", "date", "versions")
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/:]+/)+(?=[^\s/:]+/)")


@dataclass(frozen=True)
class Filled:
    """A table, what its rows scored on one file of questions, and why others did not.

    `base` names the settings that the rows were laid over.
    """

    table: Table
    data: Path
    planned: Sequence[Planned]
    results: Mapping[str, Result]
    failed: Mapping[str, str]
    seed: int
    base: str

    @property
    def first(self) -> str:
        """The row that the others are compared with."""
        return self.table.run[0].name

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns that any row has a score or a published figure for."""
        scored = {column for result in self.results.values() for column in result.cells}
        published = {
            column
            for row in self.table.rows
            for column, figure in zip(PUBLISHED, row.published, strict=False)
            if figure is not None
        }
        return tuple(column for column in self.table.columns if column in scored | published)

    def lines(self) -> list[list[str]]:
        """Return the cells of every row as text."""
        return [self._line(row) for row in self.table.rows]

    def remarks(self) -> list[str]:
        """Return what rows lack, why they failed, and which were made with other code."""
        failed = [f"{name} failed: {_without_folders(reason)}" for name, reason in self.failed.items()]
        return self._unscored() + self.lacking() + failed + self._unbased() + self._older()

    def lacking(self) -> list[str]:
        """Return what each row lacks that could not be run, and how to get it."""
        missing = [each for each in self.planned if each.missing]
        return [f"{each.row.name} was not run: {_without_folders(each.missing)}" for each in missing]

    def _unscored(self) -> list[str]:
        """Return a line for each task that rows were asked and that no mean holds."""
        rows: dict[tuple[str, str], list[str]] = {}
        for name, result in self.results.items():
            for task in result.unscored.items():
                rows.setdefault(task, []).append(name)
        return [
            f"{task} is not scored and left out of the means of {self.rows_called(names)}: {_without_folders(reason)}"
            for (task, reason), names in rows.items()
        ]

    def _unbased(self) -> list[str]:
        """Return a line where nothing can be compared."""
        if self.first in self.results or not self.results:
            return []
        return [f"no differences are shown: {self.first}, which rows are compared with, has no run"]

    def _older(self) -> list[str]:
        """Return a line for each other state of the code that made rows, with its rows."""
        now = {each.code for each in self.planned}
        rows: dict[str, list[str]] = {}
        for name, result in self.results.items():
            if result.code not in now:
                rows.setdefault(result.code, []).append(name)
        return [
            f"made with another state of the code than this one ({code}): {self.rows_called(rows[code])}"
            for code in rows
        ]

    def rows_called(self, names: Sequence[str]) -> str:
        """Return what rows are called together; names may hold commas."""
        return "all rows" if len(names) == len(self.results) else "; ".join(names)

    def heads(self) -> list[str]:
        """Return the names of the cells."""
        return ["", *self.columns, "difference of the score, 95 %", "s a question", "fallbacks"]

    def _line(self, row: Row) -> list[str]:
        result = self.results.get(row.name)
        published = dict(zip(PUBLISHED, row.published, strict=False))
        cells = [_cell(result.cells.get(name) if result else None, published.get(name)) for name in self.columns]
        if result is None:
            return [row.name, *cells, "", "", ""]
        return [row.name, *cells, _difference(result), f"{result.seconds:.2f}", str(result.fallbacks)]

    def to_json(self) -> dict[str, object]:
        """Return all of it as plain values."""
        return {
            "title": self.table.title,
            "data": self.data.name,
            "seed": self.seed,
            "base": self.base,
            "rows": {row.name: self._row(row) for row in self.table.rows},
            "remarks": self.remarks(),
        }

    def _row(self, row: Row) -> dict[str, object]:
        result = self.results.get(row.name)
        published = dict(zip(PUBLISHED, row.published, strict=False))
        if result is None:
            return {"published": published}
        cells = {
            name: {
                "score": cell.score,
                "difference": cell.difference.interval if cell.difference else None,
                "better": cell.difference.better if cell.difference else None,
                "worse": cell.difference.worse if cell.difference else None,
            }
            for name, cell in result.cells.items()
        }
        told = {name: getattr(result, name) for name in _TOLD}
        return {
            "published": published,
            "columns": cells,
            **told,
            "run": str(result.folder),
            "settings": row.settings,
        }


def show(filled: Filled, console: Console) -> None:
    """Print a table to the screen."""
    ruled = Ruled(box=box.SIMPLE_HEAD, title=filled.table.title, title_justify="left", pad_edge=False)
    for number, head in enumerate(filled.heads()):
        ruled.add_column(head, justify="right" if number else "left")
    for line in filled.lines():
        ruled.add_row(*line)
    console.print(ruled)
    for remark in (_about(filled), *filled.remarks(), *_look_into(filled)):
        console.print(remark, soft_wrap=True)


def _look_into(filled: Filled) -> list[str]:
    """Return the command that makes a page of the runs, the first ones where they are many, to see single questions."""
    names: dict[Path, str] = {}
    for name, result in filled.results.items():
        names.setdefault(result.folder, name)
    runs = shlex.join(f"{name}={folder}" for folder, name in list(names.items())[:MOST_RUNS])
    return [f"single questions: python -m evaluation.report {runs} --output report.html"] if runs else []


def markdown(filled: Sequence[Filled], command: Sequence[str]) -> str:
    """Return a page of one table on one or more files of questions."""
    table = filled[0].table
    lines = [
        f"# {table.title}",
        "",
        table.question,
        "",
        f"    python -m experiments.run {shlex.join(command)}",
        "",
        _made(filled),
        *_settings(table, filled[0].base),
    ]
    for each in filled:
        lines += ["", f"## {each.data.name}", "", _about(each), "", *_weights(each), "", *_grid(each)]
        lines += ["", *(f"- {remark}" for remark in each.remarks())] if each.remarks() else []
    return "\n".join(lines) + "\n"


def _made(filled: Sequence[Filled]) -> str:
    """Return when and with what the runs were made; where they differ, all that there was."""
    results = [result for each in filled for result in each.results.values()]
    dates = " and ".join(sorted({result.date for result in results})) or "no run"
    names = dict.fromkeys(name for result in results for name in result.versions)
    found = {name: sorted({result.versions.get(name, "without") for result in results}) for name in names}
    told = ", ".join(f"{name} {' and '.join(numbers)}" for name, numbers in found.items())
    return f"Run on {dates}; seed of the intervals {filled[0].seed}. {told}."


def _grid(filled: Filled) -> list[str]:
    rule = ["---"] + ["---:"] * (len(filled.heads()) - 1)
    rows = [filled.heads(), rule, *filled.lines()]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def _settings(table: Table, base: str) -> list[str]:
    """Return what the rows change in the settings that they are laid over."""
    common = [f"- all rows: `{json.dumps(table.settings)}`"] if table.settings else []
    own = [f"- {row.name}: `{json.dumps(row.settings)}`" for row in table.run if row.settings]
    return ["", f"Settings over {base}:", "", *common, *own]


def _weights(filled: Filled) -> list[str]:
    """Return the weights of the rows, those that are the same in one line."""
    rows: dict[str, list[str]] = {}
    for name, result in filled.results.items():
        rows.setdefault(result.weights or "none", []).append(name)
    return [
        f"- weights (SHA-256, base+adapter) {weights}: {filled.rows_called(each)}" for weights, each in rows.items()
    ]


def _about(filled: Filled) -> str:
    """Return how the table is read."""
    asked = next((result.questions for result in filled.results.values()), 0)
    published = f" In brackets: {filled.table.of}." if filled.table.of else ""
    return (
        f"{asked or 'no'} question{'' if asked == 1 else 's'} of {filled.data.name}; * where the paired 95 % interval "
        f"against {filled.first} excludes 0 and six questions or more changed.{published}"
    )


def _cell(cell: Cell | None, published: float | None) -> str:
    known = "" if published is None else f" ({published:.3f})"
    if cell is None:
        return f"{_ABSENT}{known}" if known else ""
    clear = cell.difference is not None and cell.difference.verdict != "no clear difference"
    return f"{cell.score.value:.3f}{'*' if clear else ''}{known}"


def _difference(result: Result) -> str:
    cell = result.cells.get("score")
    if cell is None or cell.difference is None:
        return ""
    value, low, high = cell.difference.interval
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _without_folders(text: str) -> str:
    """Return a text that can be published: paths begin at the repository, others keep their last two parts."""
    return _FOLDERS.sub("", text.replace(f"{ROOT}/", ""))
