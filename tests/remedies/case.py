"""A message that names an option: the command that ends with it, and the command that is typed after it is read."""

import importlib
import re
import shlex
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.messages import GIVEN, Message
from utilities.errors import UserError

Prepare = Callable[[Path, pytest.MonkeyPatch], None]
NEXT = " && "
"""Joins commands that are typed one after the other."""
PRINTED = "printed"
"""Stands for the command that a message prints."""
_SAME = "... "


class TakenError(Exception):
    """A command passed its checks, and begins what takes long; tests raise it in place of that."""


def taken(*_: object, **__: object) -> None:
    """Stand for a function that a command calls after its checks."""
    raise TakenError


def nothing(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Prepare nothing."""


def replaced(*names: str) -> Prepare:
    """Return a preparation that lets the functions of these dotted names begin nothing."""

    def prepare(_: Path, patch: pytest.MonkeyPatch) -> None:
        for name in names:
            patch.setattr(name, taken)

    return prepare


class Case(NamedTuple):
    """A message, by its file and a part of its text, and the commands before and after it.

    Commands are typed in a folder made by `tests.remedies.place`. A remedy that begins with "..." continues the first
    command, and `PRINTED` is the command that the message prints.
    `also` are messages, by file and part, that the same command shows.
    """

    file: str
    part: str
    typed: str
    remedy: str
    prepare: Prepare = nothing
    also: Sequence[tuple[str, str]] = ()

    def shows(self, message: Message) -> bool:
        """Return whether the command before the remedy ends with this message."""
        return any(message.file == file and part in message.text for file, part in ((self.file, self.part), *self.also))

    def after(self, shown: str) -> str:
        """Return the whole command of the remedy, after a message was shown."""
        if self.remedy == PRINTED:
            return str(re.findall(r"python -m ([^`]+)", shown)[-1])
        return f"{self.typed} {self.remedy.removeprefix(_SAME)}" if self.remedy.startswith(_SAME) else self.remedy


def pattern_of(message: Message) -> str:
    """Return a regular expression for what a reader sees of a message."""
    text = re.sub(r"^\w*\((--[\w-]+)\)$", r"\1", message.text)
    values = {"{}": ".*", GIVEN: "--[a-z-]+.*"}
    return "".join(values.get(part, re.escape(part)) for part in re.split(r"(\{\w*\})", text))


def said_by(line: str) -> tuple[str, str]:
    """Type commands; return the error that ends them, empty if they are taken, and all that they print."""
    printed = StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            for command in line.split(NEXT):
                _run(*shlex.split(command))
    except UserError as error:
        return str(error), printed.getvalue()
    except SystemExit as end:
        # argparse prints the usage before its error.
        return (printed.getvalue().splitlines()[-1] if end.code else ""), printed.getvalue()
    except TakenError:
        pass
    return "", printed.getvalue()


def _run(program: str, *words: str) -> None:
    module = importlib.import_module(program.removesuffix(".py"))
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"{program}.__main__")
    main: Callable[[Sequence[str]], int] = module.main
    main(words)


def changed_options(before: str, after: str) -> set[str]:
    """Return the options whose values differ between two lines of commands."""
    first, second = _values(before), _values(after)
    return {option for option in {*first, *second} if option and first.get(option) != second.get(option)}


def _values(line: str) -> Mapping[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for command in line.split(NEXT):
        option = ""
        for word in shlex.split(command):
            option = word if word.startswith("--") else option
            found[option].append(word)
    return found
