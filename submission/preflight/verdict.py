"""What a check found: it returns a sentence, or raises one of the two errors here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

SHOWN = 3


class State(StrEnum):
    """Whether a check passed, failed, or could not be made."""

    OK = "ok"
    FAIL = "FAIL"
    SKIP = "skip"


class FailedError(Exception):
    """What is wrong, and what to do about it.

    `owner` names the check that reports it: another check that stumbles over the same thing is only skipped.
    """

    def __init__(self, found: str, remedy: str, owner: str | None = None) -> None:
        super().__init__(found)
        self.found, self.remedy, self.owner = found, remedy, owner


class NotCheckedError(Exception):
    """Why a check was left out."""


@dataclass(frozen=True)
class Verdict:
    """One line of the report."""

    check: str
    state: State
    found: str
    remedy: str = ""


def judged(name: str, check: Callable[[], str]) -> Verdict:
    """Make one check; whatever the repository holds, this returns."""
    try:
        return Verdict(name, State.OK, check())
    except FailedError as error:
        if error.owner in (None, name):
            return Verdict(name, State.FAIL, error.found, error.remedy)
        return Verdict(name, State.SKIP, f"needs {error.owner!r}, which failed")
    except NotCheckedError as error:
        return Verdict(name, State.SKIP, str(error))
    except Exception as error:  # noqa: BLE001 - the report must be whole, whatever a broken repository holds
        found = f"cannot be checked: {type(error).__name__}: {' '.join(str(error).split())}"
        return Verdict(name, State.FAIL, found, "mend what the message names, then run preflight again")


def listed(names: Sequence[str]) -> str:
    """Name the first few and say how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
