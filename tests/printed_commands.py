"""Finds the commands that pages and help texts print, and runs the help of the programs."""

import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.house import files_of

_OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*")


class Command(NamedTuple):
    """A printed command of the package: its program, its words and its options."""

    program: str
    words: list[str]
    options: list[str]


def commands_in(lines: Sequence[str]) -> Iterator[Command]:
    """Yield each printed command of the package."""
    for line in lines:
        if line.startswith("usage:"):
            continue
        found = re.search(
            r"(?:^|\s|/)(?:python[\d.]*|accelerate launch\b.*?) (?:-m ([\w.]+)|(\w+\.py))((?:\s.*)?)$", line.strip()
        )
        if found:
            words = _words(found[3].split(" | ")[0].split(" #")[0])
            options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
            yield Command(found[1] or found[2], words, options)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an apostrophe in the words that explain the command
        return text.split()


def wrong_commands(lines: Sequence[str], program_names: Sequence[str]) -> list[str]:
    """Return the programs, subcommands and options of printed commands that do not exist."""
    wrong = []
    for program, words, options in commands_in(lines):
        if program.startswith(("pip", "pytest", "venv", "tests.")):
            continue
        if program not in (*program_names, "local_evaluation.py"):
            wrong.append(program)
            continue
        names = subcommands_of(help_of(program))
        texts = [help_of(program)]
        if names and words and not words[0].startswith("-"):
            wrong += [] if words[0] in names else [f"{program} {words[0]}"]
            texts += [help_of(program, words[0])] if words[0] in names else []
        wrong += [f"{program} {option}" for option in options if option not in options_of("\n".join(texts))]
    return wrong


def options_of(text: str) -> set[str]:
    """Return the options that a help text lists, in full."""
    lists = re.split(r"^examples?\b.*?(?=^usage:|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^ +(-.*?)(?:  .*)?$", "\n".join(lists), re.MULTILINE)
    return {option for line in lines for option in _OPTION.findall(line)}


def subcommands_of(text: str) -> list[str]:
    """Return the subcommands that the help text of a program lists."""
    found = re.search(r"^  \{([\w,-]+)\}$", text, re.MULTILINE)
    return found[1].split(",") if found else []


def all_help_of(program: str) -> str:
    """Return the help of a program and of its subcommands."""
    text = help_of(program)
    return "\n".join([text, *(help_of(program, name) for name in subcommands_of(text))])


def programs(root: Path) -> list[str]:
    """Return the modules of the package that are commands of their own: they parse a command line."""
    found = []
    for file in files_of(root):
        text = (root / file).read_text(encoding="utf-8")
        parses = "parser" in text
        if ('__name__ == "__main__"' in text and parses) or file.endswith("/__main__.py"):
            found.append(file.removesuffix(".py").removesuffix("/__main__").replace("/", "."))
    return found


@cache
def help_of(program: str, *command: str) -> str:
    """Run a program with `--help` in this process and return what it prints; it must end with exit code 0."""
    output, before = io.StringIO(), sys.argv
    sys.argv = [program, *command, "--help"]
    code: object = "none"
    try:
        with redirect_stdout(output), redirect_stderr(output):
            runpy.run_module(program.removesuffix(".py"), run_name="__main__", alter_sys=False)
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    assert code in (0, None), f"{program} --help ended with {code}: {output.getvalue()}"
    return output.getvalue()
