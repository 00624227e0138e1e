"""Renders runs as one self-contained HTML page, which loads nothing."""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evaluation.report.diagnostics import batch_times, calibrations, confusions, track_times
from evaluation.report.embedded import Numbers, blocks, escaped_json, index, packed
from evaluation.report.plots import MARKS, reliability_plot, score_plot, time_plot
from evaluation.report.runs import MOST_RUNS, Run
from evaluation.report.score_tables import SEED, Tables, score_tables
from utilities.errors import UserError
from utilities.files import write_text
from utilities.task_type import TaskType

_TEMPLATE = Path(__file__).resolve().parent / "template"
_SCRIPTS = ("data.js", "question.js", "browser.js")
_SHADES = 5
"""The darkest shade of a table's cell; 0 is none."""


def write_report(runs: Sequence[Run], path: Path) -> None:
    """Write the page about these runs (at least one), or leave an existing file unchanged.

    Raises:
        UserError: there are more runs than the page has colours.
        OSError: the file cannot be written.
    """
    if len(runs) > MOST_RUNS:
        raise UserError(f"{len(runs)} runs are too many for a page: name at most {MOST_RUNS}")
    write_text(path, _render(runs).encode("utf-8", "replace").decode("utf-8"))


def _render(runs: Sequence[Run]) -> str:
    style = _read("page.css")
    parts = "\n".join(map(_read, _SCRIPTS))
    script = f'(() => {{\n"use strict";\n{parts}}})();'
    tables = score_tables(runs)
    return _environment().get_template("page.html").render(
        runs=runs,
        now=datetime.now(UTC),
        seed=SEED,
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        tables=tables,
        marks=MARKS,
        task_types=[kind.value for kind in TaskType],
        **_plotted(runs, tables),
        **_embedded(runs),
    )  # fmt: skip


def _plotted(runs: Sequence[Run], tables: Tables) -> dict[str, Any]:
    """Return the values of the sections that have a plot, and the tables of detected types."""
    scored = [line for line in tables.tasks if any(line.scores)]
    times, calibrated = [], []
    for number, run in enumerate(runs):
        if batches := batch_times(run):
            slowest = max(batches, key=lambda batch: batch.per_question)
            plot = time_plot(run.name, number, batches)
            times.append({"run": run, "plot": plot, "slowest": slowest, "tracks": track_times(run)})
        if found := calibrations(run):
            calibrated.append({"run": run, "found": found, "plot": reliability_plot(run.name, number, found)})
    return {
        "score_plot": score_plot(len(runs), scored) if scored else None,
        "times": times,
        "calibrations": calibrated,
        "confusions": confusions(runs),
    }


def _embedded(runs: Sequence[Run]) -> dict[str, Any]:
    roles = Numbers()
    packed_blocks = [packed(block) for block in blocks(runs, roles)]
    names, columns = index(runs)
    return {
        "names": Markup(escaped_json({**names, "roles": list(roles)})),
        "columns": packed(columns),
        "blocks": packed_blocks,
    }


def _policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy that allows this style and this script, and loading nothing."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    allowed = f"style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


@cache
def _environment() -> Environment:
    """Return an environment that compiles a template once and escapes every value that is not marked as safe."""
    loader = FileSystemLoader(_TEMPLATE)
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {
        "exactly": lambda value: repr(float(value)),
        "filename": lambda path: PurePath(path).name,
        "model": _model,
        "pretty": lambda value: json.dumps(value, ensure_ascii=False, indent=1),
        "shade": lambda count, of: -(-_SHADES * count // of) if of else 0,
    }
    return found


def _read(name: str) -> str:
    return (_TEMPLATE / name).read_text(encoding="utf-8")


def _model(weights: object) -> str:
    """Return the folders' names of the model and its adapter, as far as the run recorded them."""
    folders = [weights.get(key) for key in ("folder", "adapter")] if isinstance(weights, dict) else []
    return " + ".join(PurePath(each).name for each in folders if isinstance(each, str) and each) or "not recorded"
