"""Errors that a user can correct, printed as one sentence without a traceback, and the detection of a full disk."""

import errno
import sys
from collections.abc import Callable, Iterator

# torch raises the last one when it cannot write the end of its archive.
_FULL = ("No space left on device", "Disk quota exceeded", "file write failed", "unexpected pos")


class UserError(Exception):
    """An error in the user's input; its message is one sentence with the file, line or field and the remedy."""


def with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes: libraries raise their own errors if a file cannot be written."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error or one of its causes reports a full disk; torch and safetensors raise no OSError."""
    return any(
        (isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT)) or any(t in str(each) for t in _FULL)
        for each in with_causes(error)
    )


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
