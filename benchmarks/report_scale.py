"""What the report of a large run costs: seconds to write it, its size, seconds until a browser shows its questions."""

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
from benchmarks.common import Json, Results, conditions, make_parser, print_table, source_digest
from evaluation.question_record import write_json_lines, write_questions, write_trace
from evaluation.report.page import write_report
from evaluation.report.runs import Run, read_run
from utilities.errors import UserError, exit_code
from utilities.files import write_json
from utilities.options import positive
from utilities.wheels import sha256

EXAMPLES = """\
  python -m benchmarks.report_scale outputs
  python -m benchmarks.report_scale outputs --sizes 96 20000 --repeats 3

The run's questions are repeated, the words of each copy in another order, so that no copy compresses well.
Seconds to open are those of Chromium, from the address to the list of questions; without a Chromium they are left out.
"""
SOURCES = ("evaluation/report/*.py", "evaluation/report/template/*", "benchmarks/report_scale.py")
WIDTHS = (400, 1400)
_SEED = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure by the options of the command line; print a table and return 0."""
    options = _options(argv)
    run = read_run(options.run)
    results = Results(options.results, conditions(1, _SEED), fresh=options.fresh)
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
    parser.add_argument("--repeats", type=positive, metavar="N", default=3, help="times that a page is opened")
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
    """Write as many copies of a run as make `size` questions; each is scored and told as its original was."""
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
    """Return the words in another order, and told from other copies: equal questions would be one."""
    words = text.split(" ")
    generator.shuffle(words)
    return " ".join((str(copy), *words))


def _opened(page: Path, width: int, repeats: int) -> float:
    """Return the median seconds until the questions of a page could be read, in a new browser each time."""
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
