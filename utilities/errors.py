"""Errors of the user's input, and of a full disk, as one sentence without a traceback."""

import errno
import sys
from collections.abc import Callable, Iterator

# torch raises the last one if the end of its archive cannot be written.
_FULL = ("No space left on device", "Disk quota exceeded", "file write failed", "unexpected pos")


class UserError(Exception):
    """Bad input: one sentence that names the file, line or field and the remedy."""


def with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes: libraries raise their own errors if a file cannot be written."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def tells_full_disk(error: BaseException) -> bool:
    """Return whether an error or one of its causes is a full disk; torch and safetensors raise no OSError for it."""
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
