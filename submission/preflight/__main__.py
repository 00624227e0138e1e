"""Check what would make the evaluator reject or kill a submission: a line a check, a remedy for each failure."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from submission.preflight.registry import add_run_options, failures, preflight
from submission.preflight.repository import Request
from submission.preflight.verdict import Verdict
from utilities.errors import UserError, exit_code
from utilities.files import ROOT, write_json
from utilities.tracks import track_by_number

EXAMPLES = """\
examples:
  python -m submission.preflight                        this repository, with a short run of the model
  python -m submission.preflight --track 3 --tag submission-v1
                                                       the track is the one meant, and the tag is free
  python -m submission.preflight --skip-run             seconds; for a model that this machine cannot run
  python -m submission.preflight --root ../other --output outputs/preflight.json

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
        prog="python -m submission.preflight",
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


if __name__ == "__main__":
    sys.exit(exit_code(main))
