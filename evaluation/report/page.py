"""The page itself: everything that it shows stands in one file, and nothing is loaded from anywhere."""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evaluation.report.calibration import calibrations
from evaluation.report.detection_table import confusions
from evaluation.report.embedded import Numbered, blocks, escaped_json, index, packed
from evaluation.report.plots import MARKS, reliability_plot, score_plot, time_plot
from evaluation.report.runs import MOST_RUNS, Run
from evaluation.report.score_tables import SEED, Tables, score_tables
from evaluation.report.time_use import batch_times, share_of_limit, slowest, track_times
from utilities.errors import UserError
from utilities.files import write_text
from utilities.task_type import TaskType

_PAGE = Path(__file__).resolve().parent / "page"
_SCRIPTS = ("data.js", "question.js", "browser.js")
_SHADES = 5


def write_report(runs: Sequence[Run], path: Path) -> None:
    """Write the page about these runs, at least one, in one step.

    Raises:
        UserError: there are more runs than colours to tell them apart.
        OSError: the file cannot be written.
    """
    if len(runs) > MOST_RUNS:
        raise UserError(f"{len(runs)} runs are too many for a page: name at most {MOST_RUNS}")
    text = render(runs, datetime.now(UTC))
    write_text(path, text.encode("utf-8", "replace").decode("utf-8"))


def render(runs: Sequence[Run], now: datetime) -> str:
    """Return the page's HTML."""
    style, script = _read("page.css"), _script()
    tables = score_tables(runs)
    return _environment().get_template("page.html").render(
        runs=runs,
        now=now,
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
    """Return the sections that have a plot, each run's beside its figures."""
    scored = [line for line in tables.tasks if any(line.scores)]
    timed = [(run, batch_times(run)) for run in runs]
    calibrated = [(run, calibrations(run)) for run in runs]
    return {
        "score_plot": _svg(score_plot(len(runs), scored)) if scored else None,
        "times": [
            {"run": run, "plot": _svg(time_plot(run.name, number, batches)), "slowest": slowest(batches),
             "share": share_of_limit(slowest(batches)), "tracks": track_times(run)}
            for number, (run, batches) in enumerate(timed) if batches
        ],
        "calibrations": [
            {"run": run, "found": found, "plot": _svg(reliability_plot(run.name, number, found))}
            for number, (run, found) in enumerate(calibrated) if found
        ],
        "confusions": confusions(runs),
    }  # fmt: skip


def _embedded(runs: Sequence[Run]) -> dict[str, Any]:
    roles = Numbered()
    packed_blocks = [packed(block) for block in blocks(runs, roles)]
    names, columns = index(runs)
    return {
        "names": Markup(escaped_json({**names, "roles": roles.texts()})),
        "columns": packed(columns),
        "blocks": packed_blocks,
    }


def _svg(markup: str) -> Markup:
    """Matplotlib's drawing, written by an XML library that escapes what texts it holds."""
    return Markup(markup)


def _policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy that runs and shows this style and script, and loads nothing."""
    style_hash, script_hash = (_digest(text) for text in (style, script))
    return (
        f"default-src 'none'; style-src '{style_hash}'; script-src '{script_hash}'; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _environment() -> Environment:
    """Templates escape every value that is not marked as safe."""
    found = Environment(
        loader=FileSystemLoader(_PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters |= {"exactly": _exactly, "filename": _filename, "model": _model, "pretty": _pretty, "shade": _shade}
    return found


def _script() -> str:
    """Return the script's files as one strict function of its own."""
    parts = "\n".join(map(_read, _SCRIPTS))
    return f'(() => {{\n"use strict";\n{parts}}})();'


def _read(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _exactly(value: float) -> str:
    """Return all digits of a figure, as scores.json has them."""
    return repr(float(value))


def _filename(path: str) -> str:
    return PurePath(path).name


def _model(weights: object) -> str:
    """Return the folders' names of the model and its adapter, as far as they were noted."""
    noted = [weights.get(key) for key in ("folder", "adapter")] if isinstance(weights, dict) else []
    return " + ".join(PurePath(each).name for each in noted if isinstance(each, str) and each) or "not noted"


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def _shade(count: int, of: int) -> int:
    """Return how dark a cell is, from 0 for nothing to 5 for all."""
    return -(-_SHADES * count // of) if of else 0
