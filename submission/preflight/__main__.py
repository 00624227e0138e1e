"""Check for everything that makes the evaluator reject or stop a submission: one line per check, with remedies."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from submission.preflight.registry import failures, preflight, preflight_parser
from submission.preflight.repository import Request
from utilities.errors import exit_code
from utilities.files import write_json, writing
from utilities.tracks import track_by_number

EXAMPLES = """\
examples:
  python -m submission.preflight                        this repository, with a short run of the model
  python -m submission.preflight --track 3 --tag submission-v1
                                                       also compare the track, and check that the tag is free
  python -m submission.preflight --skip-run             seconds; for a model that this machine cannot run
  python -m submission.preflight --root ../other --output outputs/preflight.json

The run answers questions of data/development.json in a process without a network. It ignores
variables whose names begin with SHOPALIGN_: the evaluator sets none.

exit code: 0 if no check fails, 1 if one does, 2 for a command line that cannot be used
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line per check; return 1 if a check failed."""
    parser = preflight_parser("preflight", __doc__, EXAMPLES)
    parser.add_argument(
        "--track", type=track_by_number, metavar="N", help="the track that aicrowd.json should name, 1 to 5"
    )
    parser.add_argument("--tag", metavar="NAME", help="the tag of the submission, submission-...")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the report as JSON")
    options = parser.parse_args(argv)
    found = preflight(Request(options.root, options.track, options.tag, options.remote, options.questions))
    if options.output is not None:
        report = {"passed": not failures(found), "checks": [asdict(verdict) for verdict in found]}
        with writing("--output", options.output):
            write_json(options.output, report)
    return int(failures(found) > 0)


if __name__ == "__main__":
    sys.exit(exit_code(main))
