"""Lists the messages of the package, and the commands that can print each."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.house import files_of, imports_of
from tests.printed_commands import programs

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_VARIABLE = re.compile(r"SHOPALIGN_[A-Z_]+")
_OTHER_PROGRAMS = re.compile(r"`(?:git|cp) [^`]*`|\bpip install [^`]*|accelerate launch .*? -m")
_PARSERS = ("add", "add_argument", "add_parser", "command_parser", "compile")


class Message(NamedTuple):
    """A text of the code, with `{}` for values."""

    file: str
    line: int
    text: str

    @property
    def options(self) -> list[str]:
        """The options of the package's commands that it names; those of git, cp and pip are left out."""
        return _OPTION.findall(_OTHER_PROGRAMS.sub("", self.text))

    @property
    def variables(self) -> list[str]:
        """The environment variables that it names."""
        return _VARIABLE.findall(self.text)


def messages(root: Path) -> list[Message]:
    """Return the one-line texts of the code that are neither docstrings nor parts of parsers nor single words."""
    return [
        Message(file, line, text)
        for file in files_of(root)
        for line, text in _texts(ast.parse((root / file).read_text(encoding="utf-8")))
        if " " in text and "\n" not in text
    ]


def _texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        yield node.lineno, "".join(map(str, parts))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    elif not (_is_docstring(node) or (isinstance(node, ast.Call) and _called(node) in _PARSERS)):
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


@cache
def commands_that_run(root: Path) -> dict[str, list[str]]:
    """Return the commands by the file that they import, directly or not."""
    imported = defaultdict[str, list[str]](list)
    for each in imports_of(root):
        imported[each.file].append(each.imported)
    found = defaultdict[str, list[str]](list)
    for program in programs(root):
        for file in _reached(_file_of(root, program), imported):
            found[file].append(program)
    return found


def _file_of(root: Path, program: str) -> str:
    path = program.replace(".", "/")
    return f"{path}.py" if (root / f"{path}.py").is_file() else f"{path}/__main__.py"


def _reached(file: str, imported: dict[str, list[str]]) -> Sequence[str]:
    reached, waiting = {file}, [file]
    while waiting:
        new = set(imported.get(waiting.pop(), ())) - reached
        reached |= new
        waiting += new
    return sorted(reached)
