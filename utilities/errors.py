"""One way to tell a person that what they gave cannot be used."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """Bad input: one sentence that names the file, line or field and the remedy."""


def exit_code(main: Callable[[], int]) -> int:
    """Run a command line; print a `UserError` as one line on stderr and return 2 for it, without a traceback."""
    try:
        return main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; finished files are kept", file=sys.stderr)
        return 130
