"""Checks that each import of the code is in the standard library, the repository, or the pinned packages."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath
from typing import Any

from submission.preflight.image import REQUIREMENTS, normalised, read_requirements
from submission.preflight.repository import FailedError, Repository

ENTRY = "models/user_config.py"
# An engine may run in a separate program, so every module of models/ is an entry beside the evaluator's.
ENTRIES = "models/"
_MACHINE_PATH = re.compile(r"/(home|root|mnt|media|data|opt|tmp|srv|var|workspace|content|kaggle|Users)/.*|[A-Z]:\\.*")
_IMPORTERS = frozenset({"importlib.import_module", "import_module", "__import__"})
_distributions = cache(packages_distributions)


@dataclass(frozen=True)
class Import:
    """An import statement, or a call that imports a module by its name.

    `names` are taken from `module`, `level` counts the dots of a relative import. A `lazy` import stands in a function
    or under TYPE_CHECKING, so it may never run.
    """

    line: int
    module: str
    level: int
    names: tuple[str, ...]
    lazy: bool


@dataclass(frozen=True)
class Scan:
    """The imports of one file, the lines that change sys.path, and the texts that are paths of one machine."""

    imports: tuple[Import, ...]
    path_changes: tuple[int, ...]
    machine_paths: tuple[tuple[int, str], ...]


@cache
def scan(source: bytes) -> Scan:
    """Scan the source of a file, or raise a SyntaxError or a ValueError if it is not Python."""
    nodes = list(_nodes(ast.parse(source), lazy=False))
    texts = [(node.lineno, node.value) for node, _ in nodes if isinstance(node, ast.Constant)]
    return Scan(
        imports=tuple(found for node, lazy in nodes for found in _imports(node, lazy)),
        path_changes=tuple(node.lineno for node, _ in nodes if _changes_search_path(node)),
        machine_paths=tuple((line, str(text)) for line, text in texts if _MACHINE_PATH.fullmatch(str(text))),
    )


def _nodes(parent: ast.AST, *, lazy: bool) -> Iterator[tuple[Any, bool]]:
    """Yield every node below `parent`, and whether it stands in a function or under TYPE_CHECKING."""
    functions = isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef)
    inner = lazy or functions or (isinstance(parent, ast.If) and ast.unparse(parent.test).endswith("TYPE_CHECKING"))
    for node in ast.iter_child_nodes(parent):
        yield node, inner
        yield from _nodes(node, lazy=inner)


def _imports(node: ast.AST, lazy: bool) -> Iterator[Import]:
    match node:
        case ast.Import():
            yield from (Import(node.lineno, alias.name, 0, (), lazy) for alias in node.names)
        case ast.ImportFrom():
            yield Import(node.lineno, node.module or "", node.level, tuple(each.name for each in node.names), lazy)
        case ast.Call(args=[ast.Constant(value=str(module)), *_]):
            # A relative name depends on another argument.
            if ast.unparse(node.func) in _IMPORTERS and not module.startswith("."):
                yield Import(node.lineno, module, 0, (), lazy)


def _changes_search_path(node: ast.AST) -> bool:
    match node:
        case ast.Attribute():
            return _is_search_path(node.value) or (_is_search_path(node) and not isinstance(node.ctx, ast.Load))
        case ast.Subscript():
            return _is_search_path(node.value) and not isinstance(node.ctx, ast.Load)
    return False


def _is_search_path(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "path" and ast.unparse(node) == "sys.path"


def check_imports(repository: Repository) -> str:
    """Require that every import is of the standard library, the repository, or a pinned package."""
    scans = reached(repository)
    installed = _modules(repository, REQUIREMENTS)
    # An engine that the settings do not choose imports packages in functions, and the image need not have them.
    optional = installed | _modules(repository, sorted(path.name for path in repository.root.glob("requirements*.txt")))
    chosen = repository.settings.engine("name")
    for name, found in scans.items():
        for each in found.imports:
            strict = not each.lazy or chosen in name
            _require_known(repository.root, name, each, installed if strict else optional)
        if found.path_changes:
            raise FailedError(
                f"{name}, line {found.path_changes[0]}: changes sys.path", "import from the repository's root instead"
            )
    return f"{len(scans)} modules import nothing else"


def _require_known(root: Path, name: str, found: Import, modules: frozenset[str]) -> None:
    module = _absolute(name, found)
    top = module.split(".", 1)[0]
    if top in sys.stdlib_module_names or top in modules or _file_of(root, module):
        return
    where = f"{name}, line {found.line}"
    if found.level or (root / top).is_dir():
        raise FailedError(f"{where}: there is no module {module}", "add it, or correct the import")
    raise FailedError(
        f"{where}: {top} is in no requirements file that the image installs",
        f"pin its package in {' or '.join(REQUIREMENTS)}, or remove the import",
    )


def _modules(repository: Repository, files: Iterable[str]) -> frozenset[str]:
    """Return the modules of the packages in these files: as installed here, else with the package's name."""
    packages = {found.name for name in files for found in read_requirements(repository, name)}
    installed = (module for module, names in _distributions().items() if packages & set(map(normalised, names)))
    return frozenset(installed).union(package.replace("-", "_") for package in packages)


@cache
def reached(repository: Repository) -> dict[str, Scan]:
    """Return the scans of all modules that the evaluator's import can reach, by their path relative to the root.

    Raises:
        FailedError: one is not Python, or is not in git.
    """
    tracked = repository.tracked
    if ENTRY not in tracked:
        raise FailedError(f"{ENTRY} is not in git", "add it: the evaluator imports UserModel from it", "imports")
    waiting = sorted(name for name in tracked if name.startswith(ENTRIES) and name.endswith(".py"))
    scans: dict[str, Scan] = {}
    while waiting:
        name = waiting.pop()
        if name not in scans:
            if name not in tracked:
                raise FailedError(f"{name} is imported but not in git", "add it (is it in .gitignore?)", "imports")
            try:
                scans[name] = scan((repository.root / name).read_bytes())
            except (OSError, SyntaxError, ValueError, RecursionError) as error:
                raise FailedError(f"{name} is not Python: {error}", "correct the file", "imports") from None
            waiting += [file for found in scans[name].imports for file in _files(repository.root, name, found)]
    return scans


def _files(root: Path, name: str, found: Import) -> Iterator[str]:
    """Yield the repository's files that an import loads: packages, the module, and its names that are modules."""
    parts = _absolute(name, found).split(".")
    loaded = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    for candidate in (*loaded, *(f"{loaded[-1]}.{taken}" for taken in found.names)):
        if file := _file_of(root, candidate):
            yield file


def _absolute(name: str, found: Import) -> str:
    above = PurePosixPath(name).parts[: -found.level] if found.level else ()
    return ".".join((*above, *([found.module] if found.module else [])))


def _file_of(root: Path, module: str) -> str | None:
    """Return the repository's file of a module, None for a module from elsewhere."""
    path = module.replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if (root / name).is_file()), None)
