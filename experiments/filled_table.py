"""Prints a table with its results, and converts it to Markdown and JSON."""

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from evaluation.report.runs import MOST_RUNS
from experiments.results import Cell, Result
from experiments.row_plan import Planned
from experiments.table import Row, Table
from utilities.files import ROOT
from utilities.printed_tables import print_table

K = TypeVar("K")
_RESULT_FIELDS = ("unscored", "seconds", "fallbacks", "questions", "weights", "code", "date", "versions")
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/:]+/)+(?=[^\s/:]+/)")


@dataclass(frozen=True)
class Filled:
    """A table, the results of its rows on one file of questions, and why rows failed.

    `base` names the settings that the rows override.
    """

    table: Table
    data: Path
    planned: Sequence[Planned]
    results: Mapping[str, Result]
    failed: Mapping[str, str]
    seed: int
    base: str

    @property
    def baseline(self) -> str:
        """The row that the others are compared with, the first one."""
        return self.table.run[0].name

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns in which any row has a score or a published figure."""
        scored = {column for result in self.results.values() for column in result.cells}
        published = {column for row in self.table.rows for column, figure in row.figures.items() if figure is not None}
        return tuple(column for column in self.table.columns if column in scored | published)

    def heads(self) -> list[str]:
        """Return the heads of the columns."""
        return ["", *self.columns, "score difference [95 %]", "s/question", "fallbacks"]

    def lines(self) -> list[list[str]]:
        """Return the cells of every row as text."""
        return [self._line(row) for row in self.table.rows]

    def _line(self, row: Row) -> list[str]:
        result = self.results.get(row.name)
        cells = [_cell(result.cells.get(name) if result else None, row.figures.get(name)) for name in self.columns]
        if result is None:
            return [row.name, *cells, "", "", ""]
        return [row.name, *cells, _difference(result), f"{result.seconds:.2f}", str(result.fallbacks)]

    def about(self) -> str:
        """Return the number of questions and the meaning of stars and brackets."""
        asked = next((result.questions for result in self.results.values()), 0)
        published = f" In brackets: {self.table.of}." if self.table.of else ""
        return (
            f"{asked or 'no'} question{'' if asked == 1 else 's'} of {self.data.name}; * where the paired 95 % "
            f"interval against {self.baseline} excludes 0 and six questions or more changed.{published}"
        )

    def remarks(self) -> list[str]:
        """Return the lines below a table: tasks without a score, rows without a run, failed rows, different code."""
        now = {each.code for each in self.planned}
        unscored = self.rows_by(lambda result: result.unscored.items())
        other_code = self.rows_by(lambda result: {result.code} - now)
        no_baseline = self.results and self.baseline not in self.results
        return [
            *(
                f"{task} is not scored and left out of the means of {rows}: {_without_folders(reason)}"
                for (task, reason), rows in unscored.items()
            ),
            *self.lacking(),
            *(f"{name} failed: {_without_folders(reason)}" for name, reason in self.failed.items()),
            *([f"no differences are shown: the baseline row {self.baseline} has no run"] if no_baseline else []),
            *(f"made by different code ({code}): {rows}" for code, rows in other_code.items()),
        ]

    def lacking(self) -> list[str]:
        """Return, for each row that could not be run, the missing weights and how to get them."""
        missing = [each for each in self.planned if each.missing]
        return [f"{each.row.name} was not run: {_without_folders(each.missing)}" for each in missing]

    def rows_by(self, keys: Callable[[Result], Iterable[K]]) -> dict[K, str]:
        """Return the names of the rows of each key, joined by semicolons, because names may contain commas."""
        rows: dict[K, list[str]] = defaultdict(list)
        for name, result in self.results.items():
            for key in keys(result):
                rows[key].append(name)
        every = len(self.results)
        return {key: "all rows" if len(names) == every else "; ".join(names) for key, names in rows.items()}

    def to_json(self) -> dict[str, object]:
        """Return the table with its results as plain values."""
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
        if result is None:
            return {"published": row.figures}
        return {
            "published": row.figures,
            "columns": {name: _plain(cell) for name, cell in result.cells.items()},
            **{name: getattr(result, name) for name in _RESULT_FIELDS},
            "run": str(result.folder),
            "settings": row.settings,
        }


def show(filled: Filled) -> None:
    """Print a table, and the command that makes a report of its runs."""
    print(filled.table.title)
    print_table(filled.heads(), filled.lines())
    names: dict[Path, str] = {}
    for name, result in filled.results.items():
        names.setdefault(result.folder, name)
    runs = [f"{name}={folder}" for folder, name in names.items()][:MOST_RUNS]
    command = f"single questions: python -m evaluation.report {shlex.join(runs)} --output report.html"
    for remark in (filled.about(), *filled.remarks(), *([command] if runs else [])):
        print(remark)


def markdown(filled: Sequence[Filled], command: Sequence[str]) -> str:
    """Return a page of one table on one or more files of questions."""
    table = filled[0].table
    settings = [("all rows", table.settings), *((row.name, row.settings) for row in table.run)]
    blocks = [
        f"# {table.title}",
        table.question,
        f"    python -m experiments.run {shlex.join(command)}",
        _made(filled),
        f"Changes to {filled[0].base}:",
        _listed(f"{name}: `{json.dumps(values)}`" for name, values in settings if values),
    ]
    for each in filled:
        weights = each.rows_by(lambda result: [result.weights or "none"])
        prints = _listed(f"weights (SHA-256, base+adapter) {found}: {rows}" for found, rows in weights.items())
        blocks += [f"## {each.data.name}", each.about(), prints, _grid(each), _listed(each.remarks())]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _made(filled: Sequence[Filled]) -> str:
    """Return when and with which versions the runs were made; where runs differ, all of them."""
    results = [result for each in filled for result in each.results.values()]
    dates = " and ".join(sorted({result.date for result in results})) or "no run"
    names = dict.fromkeys(name for result in results for name in result.versions)
    found = {name: sorted({result.versions.get(name, "without") for result in results}) for name in names}
    packages = ", ".join(f"{name} {' and '.join(numbers)}" for name, numbers in found.items())
    return f"Run on {dates}; seed of the intervals {filled[0].seed}. {packages}."


def _grid(filled: Filled) -> str:
    rule = ["---"] + ["---:"] * (len(filled.heads()) - 1)
    rows = [filled.heads(), rule, *filled.lines()]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def _cell(cell: Cell | None, published: float | None) -> str:
    known = "" if published is None else f" ({published:.3f})"
    if cell is None:
        return f"-{known}" if known else ""
    clear = cell.difference is not None and cell.difference.verdict != "no clear difference"
    return f"{cell.score.value:.3f}{'*' if clear else ''}{known}"


def _difference(result: Result) -> str:
    cell = result.cells.get("score")
    if cell is None or cell.difference is None:
        return ""
    value, low, high = cell.difference.interval
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _plain(cell: Cell) -> dict[str, object]:
    counts = {name: getattr(cell.difference, name, None) for name in ("better", "worse")}
    return {"score": cell.score, "difference": getattr(cell.difference, "interval", None), **counts}


def _without_folders(text: str) -> str:
    """Return a text that can be published: paths start at the repository, others keep their last two parts."""
    return _FOLDERS.sub("", text.replace(f"{ROOT}/", ""))
