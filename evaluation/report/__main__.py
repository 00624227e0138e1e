"""Write one self-contained page about a run of local_evaluation.py, or about several side by side."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from utilities.errors import UserError, exit_code

EXAMPLES = """\
examples:
  python -m evaluation.report outputs
      scores with intervals, time, calibration, detection and every question of one run, as report.html
  python -m evaluation.report outputs/before outputs/after --output comparison.html
      the same side by side; later runs are compared with the first, question by question
  python -m evaluation.report untuned=outputs/before tuned=outputs/after
      the same under names of one's own
  python -m evaluation.report old_run --data questions.json
      a run that kept no questions.jsonl, made of a file that has since moved

The page needs no network and no server. What questions it shows can be linked to, as in
  report.html#task=aspects&show=wrong   report.html#fallback=yes   report.html#run=1&show=worse

exit code: 0 when written, 2 for a run that is missing, damaged, or of other questions
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page that the command line asks for and return 0."""
    options = _options(argv)
    # Imported after the options are read: `--help` and a mistyped option answer at once.
    from evaluation.report.page import write_report
    from evaluation.report.runs import read_runs

    runs = read_runs([folder for _, folder in options.runs], options.data, {run: name for name, run in options.runs})
    try:
        write_report(runs, options.output)
    except OSError as error:
        raise UserError(f"--output {options.output} cannot be written ({error.strerror}): name another file") from None
    print(f"report: {options.output} ({options.output.stat().st_size / 1e6:.1f} MB)")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.report",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "runs",
        type=_named,
        metavar="[NAME=]RUN",
        nargs="+",
        help="folder that local_evaluation.py wrote (its --output), and what the page calls it (default: the folder)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        default=Path("report.html"),
        help="the page to write (default: %(default)s)",
    )
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="questions of runs without questions.jsonl, if their file moved"
    )
    return parser.parse_args(argv)


def _named(text: str) -> tuple[str, Path]:
    """Take NAME=RUN apart; names and folders may hold equals signs of their own."""
    parts = text.split("=")
    splits = [("=".join(parts[:at]), Path("=".join(parts[at:]))) for at in range(len(parts))]
    return next((split for split in splits if split[1].exists()), splits[-1])


if __name__ == "__main__":
    sys.exit(exit_code(main))
