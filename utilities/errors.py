"""One way to tell a person that what they gave cannot be used, or that the disk is full."""

import errno
import sys
from collections.abc import Callable, Iterator

# The last is what torch says when the end of its archive could not be written.
_FULL = ("No space left on device", "Disk quota exceeded", "file write failed", "unexpected pos")


class UserError(Exception):
    """Bad input: one sentence that names the file, line or field and the remedy."""


def with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it: libraries raise their own where a file cannot be written."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def tells_full_disk(error: BaseException) -> bool:
    """Tell whether an error, or what led to it, is a full disk; torch and safetensors raise no OSError for one."""
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
