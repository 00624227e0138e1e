"""What the benchmarks share: options, the conditions of a run, finished parts kept in a JSON file, tables."""

import argparse
import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from evaluation.run_record import versions
from evaluation.score_table import console_for
from models.engines.settings import EngineSettings, adapter_folders, weights_folder
from models.engines.weights import holds_model, missing_weights_message
from models.settings import Settings
from utilities.errors import UserError
from utilities.files import write_json
from utilities.fingerprint import fingerprint_of_both
from utilities.options import positive

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DEVELOPMENT = ROOT / "data" / "development.json"
PACKAGE = (
    "models/**/*.py",
    "prompts/**/*.py",
    "retrieval/**/*.py",
    "retrieval/fitted_weights/*.yaml",
    "utilities/*.py",
)

Json = dict[str, Any]
_NO_LIMIT = 1e9


def make_parser(name: str, description: str | None, examples: str) -> argparse.ArgumentParser:
    """Return a parser for `python -m benchmarks.<name>` with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        default=RESULTS / f"{name}.json",
        help=f"the JSON file to write, and to take finished parts from (default: benchmarks/results/{name}.json)",
    )
    parser.add_argument("--fresh", action="store_true", help="measure everything again and forget finished parts")
    return parser


def add_questions(parser: argparse.ArgumentParser, default: Path | None = DEVELOPMENT) -> None:
    """Add `--data` and `--limit`; without a default the data must be named."""
    shown = f" (default: {default.relative_to(ROOT)})" if default else ""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        default=default,
        required=default is None,
        help=f"questions as JSON Lines{shown}",
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="use the first N lines only")


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add `--threads`."""
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of the model (default: torch's choice)")


def set_threads(threads: int | None) -> int:
    """Give torch that many threads, here and in engines' processes, if any are named, and return how many it has."""
    import torch

    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def unhurried(settings: Settings) -> Settings:
    """Return the settings without a clock: what is measured is what the model does, not what it has time for."""
    clock = replace(settings.clock, seconds_per_sample=_NO_LIMIT, minutes=_NO_LIMIT, spare="none")
    return replace(settings, clock=clock)


def model_folder(settings: EngineSettings) -> Path:
    """Return the folder of the weights.

    Raises:
        UserError: it holds no model.
    """
    folder = weights_folder(settings)
    if not holds_model(folder):
        raise UserError(missing_weights_message(folder))
    return folder


def weights_of(settings: EngineSettings) -> str:
    """Return what identifies the weights with their adapter, without loading them.

    Raises:
        UserError: there are none.
    """
    return fingerprint_of_both(model_folder(settings), adapter_folders(settings)[settings.adapter])


def conditions(threads: int, seed: int | None) -> Json:
    """Return what a figure depends on beside its own inputs: versions, processor, threads, seed."""
    return {
        "versions": versions(),
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "threads": threads,
        "seed": seed,
    }


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model name, or what Python knows of it where the system does not list it."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def source_digest(patterns: Sequence[str] = PACKAGE, root: Path = ROOT) -> str:
    """Return a SHA-256 over the files that match: a figure measured with other code is no finished part."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


class Results:
    """One benchmark's JSON file: the latest report, and finished parts by the SHA-256 of all that they depend on."""

    def __init__(self, path: Path, setting: Mapping[str, Any], *, fresh: bool) -> None:
        """Read the finished parts of `path`; `setting` are the conditions of this run.

        Raises:
            UserError: the file is there and is no file of results.
        """
        self._path = path
        self._setting = dict(setting)
        self._parts: dict[str, Json] = {} if fresh else _read_parts(path)

    def part(self, inputs: Mapping[str, Any], measure: Callable[[], Json]) -> Json:
        """Return the finished part of these inputs, else measure it and save it at once."""
        key = content_key({"inputs": inputs, "conditions": self._setting})
        if key not in self._parts:
            result = measure()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._parts[key] = {"inputs": inputs, "conditions": self._setting, "measured": now, "result": result}
            self._write({})
        result = self._parts[key]["result"]
        assert isinstance(result, dict)
        return result

    def finish(self, report: Mapping[str, Any]) -> None:
        """Save the report of this run beside the parts."""
        self._write(report)

    def _write(self, report: Mapping[str, Any]) -> None:
        try:
            write_json(self._path, {"conditions": self._setting, "report": report, "parts": self._parts})
        except OSError as error:
            raise UserError(f"--results {self._path} cannot be written ({error.strerror}): name another file") from None


def content_key(inputs: Mapping[str, Any]) -> str:
    """Return the SHA-256 of `inputs` as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _read_parts(path: Path) -> dict[str, Json]:
    if not path.exists():
        return {}
    try:
        parts: dict[str, Json] = json.loads(path.read_text(encoding="utf-8"))["parts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} holds no results of a benchmark ({type(error).__name__}): remove it or give --fresh"
        ) from None
    return parts


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table whose first column is text and whose others are numbers, set flush right."""
    console = console_for(sys.stdout)
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def shown(value: float | None, digits: int = 3) -> str:
    """Return a number for a table, a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"
