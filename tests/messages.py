"""Lists the messages of the package, and the commands that can print each."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeGuard

from experiments.table import read_table
from tests.house import files_of, imports_of
from tests.printed_commands import programs

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_VARIABLE = re.compile(r"SHOPALIGN_[A-Z_]+")
_OTHER_PROGRAMS = re.compile(r"`(?:git|cp) [^`]*`|\bpip install [^`]*|accelerate launch .*? -m")
_PARSERS = ("add", "add_argument", "add_parser", "command_parser", "compile")
_HELP_CONSTANTS = ("EXAMPLES", "WORDS")
"""Names of constants that help texts print."""
GIVEN = "{option}"
"""Stands in a message for an option that the caller names."""


class _Text(ast.Constant):
    """A constant that is a text."""

    value: str


class Message(NamedTuple):
    """A text of the code, with `{}` for values and `{option}` for an option that the caller names."""

    file: str
    line: int
    text: str

    @property
    def options(self) -> list[str]:
        """The options of the package's commands that it names; those of git, cp and pip are left out."""
        return _OPTION.findall(_OTHER_PROGRAMS.sub("", self.text))

    @property
    def names_an_option(self) -> bool:
        """Whether the reader sees an option, which may be named by the caller."""
        return bool(self.options) or GIVEN in self.text or "--{}" in self.text

    @property
    def variables(self) -> list[str]:
        """The environment variables that it names."""
        return _VARIABLE.findall(self.text)


@cache
def messages(root: Path) -> list[Message]:
    """Return the one-line texts of the code that are neither docstrings nor parts of parsers nor single words."""
    return [
        Message(file, line, text)
        for file, tree in _trees(root)
        for line, text in _texts(tree, _constants(tree))
        if " " in text and "\n" not in text
    ]


def messages_with_options(root: Path) -> list[Message]:
    """Return the messages that name an option, those of types of options, and what the tables of experiments need.

    An option that a function gets for its messages is listed as `function(--option)`. Texts of help are no messages,
    and a constant that is a part of other messages is listed in these.
    """
    named = [each for each in messages(root) if each.names_an_option and not _is_kept_text(root, each)]
    return sorted([*named, *_of_types(root), *_needs(root), *options_handed_over(root)])


def _of_types(root: Path) -> Iterator[Message]:
    """Yield the messages of the types of options, as argparse shows them: it names the option first."""
    for file, tree in _trees(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _called(node) == "ArgumentTypeError":
                [(line, text)] = _texts(node.args[0], _constants(tree))
                yield Message(file, line, f"argument {GIVEN}: {text}")


def _needs(root: Path) -> Iterator[Message]:
    """Yield what the rows of the tables of experiments need, which is printed if it is missing."""
    for path in sorted((root / "experiments" / "tables").glob("*.yaml")):
        table = read_table(path)
        needs = (table.needs, *(row.needs for row in table.rows))
        found = (Message(path.relative_to(root).as_posix(), 1, each) for each in needs)
        yield from (message for message in found if message.options)


def options_handed_over(root: Path) -> list[Message]:
    """Return the options of the package that its code hands to a function, which names them in a message."""
    trees = _trees(root)
    known = {text for _, tree in trees for text in _parsed_options(tree)}
    return [
        Message(file, line, f"{function}({option})")
        for file, tree in trees
        for line, function, option in _handed(tree)
        if option in known
    ]


@cache
def _trees(root: Path) -> list[tuple[str, ast.Module]]:
    return [(file, ast.parse((root / file).read_text(encoding="utf-8"))) for file in files_of(root)]


def _is_kept_text(root: Path, message: Message) -> bool:
    """Return whether a text is a constant that is printed in a help or in other messages of its file."""
    [constants] = [_constants(tree) for file, tree in _trees(root) if file == message.file]
    names = [name for name, text in constants.items() if text == message.text]
    inside = any(message.text in each.text != message.text for each in messages(root) if each.file == message.file)
    return any(name in _HELP_CONSTANTS or inside for name in names)


def _constants(tree: ast.Module) -> Mapping[str, str]:
    """Return the texts that a file keeps under a name."""
    pairs = [(node.targets[0], node.value) for node in tree.body if isinstance(node, ast.Assign)]
    return {
        name.id: value.value
        for name, value in pairs
        if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str)
    }


def _parsed_options(tree: ast.Module) -> Iterator[str]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) in _PARSERS)
    yield from (argument.value for call in calls for argument in call.args if _is_option(argument))


def _handed(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield the options that are arguments of a call, or stand in a tuple beside values."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) not in _PARSERS:
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            yield from ((each.lineno, _called(node), each.value) for each in given if _is_option(each))
        elif isinstance(node, ast.Tuple) and not all(isinstance(each, ast.Constant) for each in node.elts):
            yield from ((each.lineno, "", each.value) for each in node.elts if _is_option(each))


def _is_option(node: ast.AST) -> TypeGuard[_Text]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_OPTION.fullmatch(node.value))


def _texts(node: ast.AST, constants: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.JoinedStr):
        yield node.lineno, "".join(_part(part, constants) for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    elif not (_is_docstring(node) or (isinstance(node, ast.Call) and _called(node) in _PARSERS)):
        for child in ast.iter_child_nodes(node):
            yield from _texts(child, constants)


def _part(part: ast.expr, constants: Mapping[str, str]) -> str:
    """Return a part of an f-string: a text, the text of a constant, an option that the caller names, or a value."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    value = part.value if isinstance(part, ast.FormattedValue) else part
    name = value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else ""
    return constants.get(name, GIVEN if name in ("option", "named_by") else "{}")


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
