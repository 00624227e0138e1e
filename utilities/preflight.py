"""Check what would make the evaluator reject or kill a submission: a line a check, a remedy for each failure."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from utilities.errors import UserError, exit_code
from utilities.files import write_json
from utilities.options import positive
from utilities.preflight_checks.repository import Request
from utilities.preflight_checks.table import CHECKS, RUN_CHECKS, verdicts
from utilities.preflight_checks.verdict import State, Verdict
from utilities.tracks import track_by_number

ROOT = Path(__file__).resolve().parent.parent
RUN_QUESTIONS = 16

EXAMPLES = """\
examples:
  python -m utilities.preflight                        this repository, with a short run of the model
  python -m utilities.preflight --track 3 --tag submission-v1
                                                       the track is the one meant, and the tag is free
  python -m utilities.preflight --skip-run             seconds; for a model that this machine cannot run
  python -m utilities.preflight --root ../other --output outputs/preflight.json

The run answers questions of data/development.json in a process without a network. Variables whose
names begin with SHOPALIGN_ are not heeded: the evaluator sets none.

exit code: 0 when no check fails, 1 when one does, 2 for a command line that cannot be used
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line a check; return 1 when a check failed."""
    options = _options(argv)
    request = Request(
        root=options.root,
        track=track_by_number(options.track) if options.track is not None else None,
        tag=options.tag,
        remote=options.remote,
        questions=None if options.skip_run else options.questions,
    )
    found = preflight(request)
    if options.output is not None:
        write_report(options.output, found)
    return int(failures(found) > 0)


def preflight(request: Request) -> list[Verdict]:
    """Make all checks and print each as it is made.

    Raises:
        UserError: the root is no folder.
    """
    if not request.root.is_dir():
        raise UserError(f"--root {request.root} is no folder: name the root of a repository")
    found = []
    for verdict in verdicts(request):
        print_verdict(verdict)
        found.append(verdict)
    print(summary(found))
    return found


_WIDTH = max(len(name) for name, _ in (*CHECKS, *RUN_CHECKS))


def print_verdict(verdict: Verdict) -> None:
    """Print one line, and the remedy below it when there is one."""
    print(f"{verdict.state:<5}{verdict.check:<{_WIDTH + 2}}{verdict.found}", flush=True)
    if verdict.remedy:
        print(f"{'':<{_WIDTH + 7}}remedy: {verdict.remedy}", flush=True)


def failures(found: Iterable[Verdict]) -> int:
    """Return how many checks failed."""
    return sum(verdict.state is State.FAIL for verdict in found)


def summary(found: Sequence[Verdict]) -> str:
    """Return the last line of the report."""
    skipped = sum(verdict.state is State.SKIP for verdict in found)
    return f"{len(found)} checks: {failures(found)} failed, {skipped} left out"


def write_report(path: Path, found: Sequence[Verdict]) -> None:
    """Write the report as JSON.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        write_json(path, {"passed": failures(found) == 0, "checks": [asdict(verdict) for verdict in found]})
    except OSError as error:
        raise UserError(f"--output {path} cannot be written ({error.strerror}): name another file") from None


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m utilities.preflight",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="the repository (default: this one)")
    parser.add_argument("--track", type=int, metavar="N", help="the track that aicrowd.json should name, 1 to 5")
    parser.add_argument("--tag", metavar="NAME", help="the tag to be given, submission-...")
    parser.add_argument("--remote", default="origin", metavar="NAME", help="asked for the tag (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the report as JSON, too")
    add_run_options(parser)
    return parser.parse_args(argv)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add how much the model is run."""
    parser.add_argument("--skip-run", action="store_true", help="do not run the model")
    parser.add_argument(
        "--questions",
        type=positive,
        default=RUN_QUESTIONS,
        metavar="N",
        help="how many questions the run answers (default: %(default)s)",
    )


if __name__ == "__main__":
    sys.exit(exit_code(main))
