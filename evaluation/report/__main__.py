"""Writes one self-contained page about a run of local_evaluation.py, or about several side by side."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from utilities.errors import exit_code
from utilities.files import writing
from utilities.options import command_parser

EXAMPLES = """\
examples:
  python -m evaluation.report outputs
      scores with intervals, time, calibration, detection and every question of one run, as report.html
  python -m evaluation.report outputs/before outputs/after --output comparison.html
      the same side by side; later runs are compared with the first, question by question
  python -m evaluation.report untuned=outputs/before tuned=outputs/after
      the same with names for the runs
  python -m evaluation.report old_run --data questions.json
      a run without questions.jsonl whose data file has moved

The page needs no network and no server. Its address holds the filters of questions:
  report.html#task=aspects&show=wrong   report.html#fallback=yes   report.html#run=1&show=worse

exit code: 0 if written, 2 for a run that is missing, damaged, or of other questions
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page by the options of the command line and return 0."""
    options = _options(argv)
    # Imported after the options are read, so that `--help` and a mistyped option answer at once.
    from evaluation.report.page import write_report
    from evaluation.report.runs import read_runs

    runs = read_runs([folder for _, folder in options.runs], options.data, {run: name for name, run in options.runs})
    with writing("--output", options.output):
        write_report(runs, options.output)
    print(f"report: {options.output} ({options.output.stat().st_size / 1e6:.1f} MB)")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = command_parser("python -m evaluation.report", __doc__, EXAMPLES)
    add, page = parser.add_argument, Path("report.html")
    folders = "output folder of local_evaluation.py, and the run's name (default: the folder's)"
    add("runs", type=_named, metavar="[NAME=]RUN", nargs="+", help=folders)
    add("--output", type=Path, metavar="FILE", default=page, help="page to write (default: %(default)s)")
    add("--data", type=Path, metavar="FILE", help="data file of runs without questions.jsonl, if it has moved")
    return parser.parse_args(argv)


def _named(text: str) -> tuple[str, Path]:
    """Split NAME=RUN where the rest is an existing folder: names and folders may contain equals signs."""
    parts = text.split("=")
    splits = [("=".join(parts[:at]), Path("=".join(parts[at:]))) for at in range(len(parts))]
    return next((split for split in splits if split[1].exists()), splits[-1])


if __name__ == "__main__":
    sys.exit(exit_code(main))
