"""Runs git: the output of one command, or one sentence if it fails."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

# A git hook sets these; they would make git read another repository.
_OF_ANOTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


class GitError(Exception):
    """The error message of git, in one line."""


def git(
    root: Path,
    *arguments: str,
    stdin: bytes | None = None,
    variables: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> bytes:
    """Run git in `root` and return what it printed.

    Raises:
        GitError: git is missing, ended with another code than 0, or took more than `seconds`.
    """
    try:
        ended = subprocess.run(
            ["git", "-C", str(root), *arguments],
            input=stdin if stdin is not None else b"",
            env=environment(variables or {}),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        raise GitError(f"git does not start ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git {arguments[0]} took more than {seconds:.0f} s") from None
    if ended.returncode != 0:
        said = " ".join(ended.stderr.decode(errors="replace").split())
        raise GitError(said or f"git {arguments[0]} ended with code {ended.returncode}")
    return ended.stdout


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for git: English messages, no password prompts, no optional writes."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    return {**inherited, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", **variables}


def lines_of(output: bytes, separator: bytes = b"\0") -> list[str]:
    """Split the output of a `-z` option; names that are not UTF-8 keep their bytes, as in the file system."""
    return [os.fsdecode(part) for part in output.split(separator) if part]
