"""What one Python file imports and names, found in one walk over its syntax tree."""

import ast
import re
from dataclasses import dataclass, field
from functools import cache

_OF_A_MACHINE = re.compile(r"/(home|root|mnt|media|data|opt|tmp|srv|var|workspace|content|kaggle|Users)/.*|[A-Z]:\\.*")

_IMPORTERS = frozenset({"importlib.import_module", "import_module", "__import__"})


@dataclass(frozen=True)
class Import:
    """The module of one import statement, or of a call that imports a module by its name.

    `names` are what is taken out of it, `level` counts the dots of a relative import, `lazy` tells that a function
    makes it, so that it may never be made.
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
        stored = _is_search_path(node) and not isinstance(node.ctx, ast.Load)
        if stored or _is_search_path(node.value):
            self.path_changes.append(node.lineno)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if _is_search_path(node.value) and not isinstance(node.ctx, ast.Load):
            self.path_changes.append(node.lineno)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        named = node.args[0] if node.args else None
        module = named.value if isinstance(named, ast.Constant) else None
        # A relative name means what another argument says.
        if ast.unparse(node.func) in _IMPORTERS and isinstance(module, str) and not module.startswith("."):
            self.imports.append(Import(node.lineno, module, 0, (), self._lazy))
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


def _is_search_path(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "path" and ast.unparse(node) == "sys.path"
