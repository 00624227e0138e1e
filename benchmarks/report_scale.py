"""The report of a large run: seconds to write it, its size, and seconds until a browser shows its questions."""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.chromium import CHROMIUM, Browser
from benchmarks.common import Json, make_parser, open_results, source_digest
from evaluation.question_record import write_questions, write_trace
from evaluation.report.page import write_report
from evaluation.report.runs import Run, read_run
from utilities.errors import UserError, exit_code
from utilities.files import write_json, write_json_lines
from utilities.fingerprint import sha256
from utilities.options import positive
from utilities.printed_tables import print_table

EXAMPLES = """\
  python -m benchmarks.report_scale outputs
  python -m benchmarks.report_scale outputs --sizes 96 20000 --repeats 3

The run's questions are repeated; each copy has its words in a new order, so that it does not compress well.
Chromium measures the seconds from opening the address to the list of questions; without Chromium they are left out.
"""
SOURCES = ("evaluation/report/*.py", "evaluation/report/template/*", "benchmarks/report_scale.py")
WIDTHS = (400, 1400)
_SEED = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = _options(argv)
    run = read_run(options.run)
    results = open_results(options, _SEED)
    key = {"run": sha256(options.run / "questions.jsonl"), "sources": source_digest(SOURCES)}
    rows = []
    for size in options.sizes:
        part = {**key, "questions": size, "repeats": options.repeats}
        rows.append(results.part(part, partial(measured, run, size, options.repeats)))
    results.finish({"rows": rows, **key})
    _print(rows)
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("report_scale", __doc__, EXAMPLES)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that local_evaluation.py wrote")
    parser.add_argument("--sizes", type=positive, nargs="+", metavar="N", default=[96, 20_000], help="questions")
    parser.add_argument("--repeats", type=positive, metavar="N", default=3, help="measurements per page (default: 3)")
    options = parser.parse_args(argv)
    if not (options.run / "questions.jsonl").is_file():
        raise UserError(f"{options.run} holds no questions.jsonl: name a folder that local_evaluation.py wrote")
    return options


def measured(run: Run, size: int, repeats: int) -> Json:
    """Write the report of a run of at least `size` questions, whole copies of `run`, and open it."""
    with tempfile.TemporaryDirectory() as folder:
        large = read_run(enlarged(run, size, Path(folder) / "run"))
        page = Path(folder) / "report.html"
        started = time.perf_counter()
        write_report([large], page)
        written = time.perf_counter() - started
        opened = {str(width): _opened(page, width, repeats) for width in WIDTHS} if CHROMIUM else {}
        return {
            "questions": len(large.questions),
            "seconds_to_write": written,
            "megabytes": page.stat().st_size / 1e6,
            "seconds_to_open": opened,
        }


def enlarged(run: Run, size: int, folder: Path) -> Path:
    """Write enough copies of a run for `size` questions, with the answers, scores and traces of the originals."""
    copies = range(-(-size // len(run.questions)))
    generator = random.Random(_SEED)
    questions = [
        replace(each, question=replace(each.question, input_field=_varied(each.question.input_field, copy, generator)))
        for copy in copies
        for each in run.questions
    ]
    folder.mkdir()
    write_questions(folder / "questions.jsonl", questions)
    write_json_lines(folder / "answers.jsonl", list(run.answers) * len(copies))
    if run.trace:
        traced = [replace(each, user=_varied(each.user, copy, generator)) for copy in copies for each in run.trace]
        write_trace(folder / "trace.jsonl", traced)
    data = {**run.record["data"], "questions": len(questions)}
    write_json(folder / "scores.json", {**run.record, "data": data})
    return folder


def _varied(text: str, copy: int, generator: random.Random) -> str:
    """Return the number of the copy and the words in a new order, as equal texts would count as one question."""
    words = text.split(" ")
    generator.shuffle(words)
    return " ".join((str(copy), *words))


def _opened(page: Path, width: int, repeats: int) -> float:
    """Return the median seconds until the questions of a page are shown, each time in a new browser."""
    seconds = []
    for _ in range(repeats):
        with Browser() as browser:
            seconds.append(browser.open(page.as_uri(), width))
    return statistics.median(seconds)


def _print(rows: Sequence[Json]) -> None:
    heads = ["questions", "seconds to write", "MB", *(f"seconds to open, {width} px" for width in WIDTHS)]
    lines = [
        [
            f"{row['questions']:,}",
            f"{row['seconds_to_write']:.1f}",
            f"{row['megabytes']:.1f}",
            *(f"{row['seconds_to_open'][str(width)]:.2f}" if row["seconds_to_open"] else "-" for width in WIDTHS),
        ]
        for row in rows
    ]
    print_table(heads, lines)


if __name__ == "__main__":
    sys.exit(exit_code(main))
