"""Shared parts of the benchmarks: options, conditions, results files with finished parts, turns, tables."""

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from evaluation.questions import QuestionRow, read_questions
from evaluation.run_record import describe_data, versions
from models.engines.interface import Engine
from models.engines.settings import EngineSettings, adapter_folders, weights_folder
from models.engines.weights_folder import check_model
from models.settings import Settings
from utilities.errors import UserError
from utilities.files import ROOT, write_json, writing
from utilities.fingerprint import fingerprint_of_both
from utilities.json_files import read_object
from utilities.options import command_parser, positive
from utilities.printed_tables import print_table

RESULTS = ROOT / "benchmarks" / "results"
PACKAGE = (
    "models/**/*.py",
    "prompts/**/*.py",
    "prompts/type_weights.json",
    "retrieval/**/*.py",
    "retrieval/fitted_weights/*.yaml",
    "utilities/*.py",
)

Json = dict[str, Any]
_NO_LIMIT = 1e9
_AGAIN = "remove it or give --fresh"


def make_parser(
    name: str, description: str | None, examples: str, *, data: Path | None = None, threads: bool = False
) -> argparse.ArgumentParser:
    """Return a parser for `python -m benchmarks.<name>` with `--results` and `--fresh`.

    `data` is the default of `--data`, which comes with `--limit`; without it there is neither. `threads` adds
    `--threads`.
    """
    parser = command_parser(f"python -m benchmarks.{name}", description, f"examples:\n{examples}")
    add = parser.add_argument
    add(
        "--results",
        type=Path,
        metavar="FILE",
        default=RESULTS / f"{name}.json",
        help=f"the JSON file of results and finished parts (default: benchmarks/results/{name}.json)",
    )
    add("--fresh", action="store_true", help="ignore finished parts and measure everything again")
    if data:
        default = data.relative_to(ROOT)
        add("--data", type=Path, metavar="FILE", default=data, help=f"questions as JSON Lines (default: {default})")
        add("--limit", type=positive, metavar="N", help="use only the first N lines")
    if threads:
        add("--threads", type=positive, metavar="N", help="threads of the model (default: torch's choice)")
    return parser


def names_of(known: Sequence[str], noun: str) -> Callable[[str], tuple[str, ...]]:
    """Return the type of an option that takes comma-separated names; they come in the order of `known`, each once."""

    def read(text: str) -> tuple[str, ...]:
        given = [name.strip() for name in text.split(",")]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown {noun} {unknown[0]!r}; choose from {','.join(known)}")
        return tuple(name for name in known if name in given)

    return read


def read_asked(options: argparse.Namespace) -> tuple[list[QuestionRow], Json]:
    """Return the questions of `--data` and `--limit`, and the description of the data for the results."""
    questions = read_questions(options.data)[: options.limit]
    return questions, describe_data(options.data, len(questions))


def set_threads(threads: int | None) -> int:
    """Set the threads of torch, here and in engine processes, if a number is given; return torch's number."""
    import torch

    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def unhurried(settings: Settings) -> Settings:
    """Return the settings without time limits, so that answers do not depend on the machine's speed."""
    clock = replace(settings.clock, seconds_per_sample=_NO_LIMIT, minutes=_NO_LIMIT, spare="none")
    return replace(settings, clock=clock)


def model_folder(settings: EngineSettings) -> Path:
    """Return the folder of the weights.

    Raises:
        UserError: it holds no model, or a damaged one.
    """
    folder = weights_folder(settings)
    check_model(folder)
    return folder


def weights_of(settings: EngineSettings) -> str:
    """Return the fingerprint of the weights with their adapter, without loading them.

    Raises:
        UserError: there are none.
    """
    return fingerprint_of_both(model_folder(settings), adapter_folders(settings)[settings.adapter])


def started_engine(settings: EngineSettings) -> Engine:
    """Load the model of the settings in this process and warm it up."""
    # Here, because torch takes seconds to import, which `--help` and finished results need not wait for.
    from models.engines.process.worker import warm_up
    from models.engines.registry import create_engine

    engine = create_engine(settings)
    warm_up(engine)
    return engine


def conditions(threads: int, seed: int | None) -> Json:
    """Return the conditions of a figure beside its inputs: versions, processor, threads and seed."""
    return {
        "versions": versions(),
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "threads": threads,
        "seed": seed,
    }


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model name; Python's name for it if the system does not list one."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def source_digest(patterns: Sequence[str] = PACKAGE, root: Path = ROOT) -> str:
    """Return a SHA-256 of the matching files: parts that were measured with different code are measured again."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


class Results:
    """A benchmark's JSON file: the latest report, and finished parts by a SHA-256 of inputs and conditions."""

    def __init__(self, path: Path, setting: Mapping[str, Any], *, fresh: bool) -> None:
        """Read the finished parts of `path`; `setting` are the conditions of this run.

        Raises:
            UserError: the file exists and holds no results.
        """
        self._path = path
        self._setting = dict(setting)
        self._parts: dict[str, Json] = {} if fresh else _read_parts(path)

    def part(self, inputs: Mapping[str, Any], measure: Callable[[], Json]) -> Json:
        """Return the finished part with these inputs, or measure it and save it immediately."""
        asked = json.dumps({"inputs": inputs, "conditions": self._setting}, sort_keys=True)
        key = hashlib.sha256(asked.encode()).hexdigest()
        if key not in self._parts:
            result = measure()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._parts[key] = {"inputs": inputs, "conditions": self._setting, "measured": now, "result": result}
            self.finish({})
        result = self._parts[key]["result"]
        assert isinstance(result, dict)
        return result

    def finish(self, report: Mapping[str, Any]) -> None:
        """Save the report of this run beside the parts.

        Raises:
            UserError: the file cannot be written.
        """
        with writing("--results", self._path):
            write_json(self._path, {"conditions": self._setting, "report": report, "parts": self._parts})


def open_results(options: argparse.Namespace, seed: int | None = None) -> Results:
    """Set the threads of the options and open the results file; a benchmark without `--threads` uses one."""
    threads = set_threads(options.threads) if "threads" in options else 1
    return Results(options.results, conditions(threads, seed), fresh=options.fresh)


def _read_parts(path: Path) -> dict[str, Json]:
    if not path.exists():
        return {}
    parts = read_object(path, _AGAIN).get("parts")
    if not isinstance(parts, dict):
        raise UserError(f"{path} holds no results of a benchmark: {_AGAIN}")
    return parts


def runs_in_turns(
    results: Results,
    names: Sequence[str],
    repeats: int,
    inputs: Callable[[str], Mapping[str, Any]],
    run: Callable[[str], Json],
) -> dict[str, list[Json]]:
    """Return the runs of each name, made in this process in turns; each is a part with these inputs and its turn."""
    runs: dict[str, list[Json]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names:
            runs[name].append(results.part({"repeat": repeat, **inputs(name)}, partial(run, name)))
    return runs


def in_turns(ways: tuple[str, str], repeats: int, measure: Callable[[str], Json]) -> Json:
    """Measure two ways in turns; return medians, ratios (second way over first), and every turn.

    Each measurement has a new process, so that peak memory is its own; `measure` must be picklable.
    """
    turns: dict[str, list[Json]] = {way: [] for way in ways}
    for _ in tqdm(range(repeats), desc="turns", unit="turn"):
        for way in ways:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                turns[way].append(process.submit(measure, way).result())
    medians = {
        way: {name: statistics.median(turn[name] for turn in found) for name in found[0]}
        for way, found in turns.items()
    }
    first, second = medians.values()
    return {"medians": medians, "ratios": {name: second[name] / first[name] for name in first}, "turns": turns}


def print_turns(report: Json, figures: Mapping[str, str], heads: Sequence[str]) -> None:
    """Print a line for each figure of `in_turns`: its name, both medians, and the ratio."""
    first, second = report["medians"].values()
    lines = [
        [words, shown(first[name]), shown(second[name]), shown(report["ratios"][name], 2)]
        for name, words in figures.items()
    ]
    print_table(["", *heads], lines)


def shown(value: float | None, digits: int = 3) -> str:
    """Return a number for a table, a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"
