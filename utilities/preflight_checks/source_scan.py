"""What one Python file imports and names, found in one walk over its syntax tree."""

import ast
import re
from dataclasses import dataclass, field
from functools import cache

_OF_A_MACHINE = re.compile(r"/(home|root|mnt|media|data|opt|tmp|srv|var|workspace|content|kaggle|Users)/.*|[A-Z]:\\.*")


@dataclass(frozen=True)
class Import:
    """One import statement's module; `names` are what is taken out of it.

    `level` counts the dots of a relative import, `lazy` tells that a function makes it, so that it may never be made.
    """

    line: int
    module: str
    level: int
    names: tuple[str, ...]
    lazy: bool


@dataclass(frozen=True)
class SourceScan:
    """Imports, the lines that change the search path, and the texts that are paths of one machine."""

    imports: tuple[Import, ...]
    path_changes: tuple[int, ...]
    machine_paths: tuple[tuple[int, str], ...]


@cache
def scan(source: bytes) -> SourceScan:
    """Parse and walk a file.

    Raises:
        SyntaxError, ValueError: it is no Python.
    """
    found = _Found()
    found.visit(ast.parse(source))
    return SourceScan(tuple(found.imports), tuple(found.path_changes), tuple(found.machine_paths))


@dataclass
class _Found(ast.NodeVisitor):
    imports: list[Import] = field(default_factory=list)
    path_changes: list[int] = field(default_factory=list)
    machine_paths: list[tuple[int, str]] = field(default_factory=list)
    _lazy: bool = False

    def visit_Import(self, node: ast.Import) -> None:
        self.imports += [Import(node.lineno, alias.name, 0, (), self._lazy) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        names = tuple(alias.name for alias in node.names)
        self.imports.append(Import(node.lineno, node.module or "", node.level, names, self._lazy))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        inner = node.value
        if isinstance(inner, ast.Attribute) and inner.attr == "path" and ast.unparse(inner) == "sys.path":
            self.path_changes.append(node.lineno)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and _OF_A_MACHINE.fullmatch(node.value):
            self.machine_paths.append((node.lineno, node.value))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_lazily(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_lazily(node)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test).endswith("TYPE_CHECKING"):
            self._visit_lazily(node)
        else:
            self.generic_visit(node)

    def _visit_lazily(self, node: ast.AST) -> None:
        before, self._lazy = self._lazy, True
        self.generic_visit(node)
        self._lazy = before
