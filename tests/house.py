"""Reads the structure of a source tree: its imports, the floors of its files, circles, lengths and names."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

FLOORS: Mapping[str, int] = {
    "utilities": 0,
    "retrieval": 1,
    "prompts": 2,
    "models/engines": 3,
    "models/scheduling": 4,
    "models": 5,
    "evaluation": 6,
    "submission": 7,
    "tuning": 8,
    "experiments": 8,
    "local_evaluation.py": 8,
    "benchmarks": 9,
}
"""A folder or file -> its floor; each may import only rooms of lower floors and its own."""
SAME_PART = frozenset({"__init__", "__main__", "registry", "settings", "engine"})
"""File names that several rooms may have, because the files play the same part in each."""
LONGEST_FILE = 300


class Import(NamedTuple):
    """One import: the file and line that imports, and the imported file, both from the root."""

    file: str
    line: int
    imported: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.imported}"


def files_of(root: Path) -> list[str]:
    """Return the Python files of all rooms, relative to the root."""
    found = (
        path for room in FLOORS for path in ((root / room).rglob("*.py") if (root / room).is_dir() else [root / room])
    )
    return sorted({path.relative_to(root).as_posix() for path in found if path.is_file()})


def imports_of(root: Path) -> list[Import]:
    """Return all imports between files of the tree, those in functions and under TYPE_CHECKING included."""
    files = files_of(root)
    modules = {_module(file): file for file in files}
    return [
        Import(file, line, modules[name])
        for file in files
        for line, names in _imported(ast.parse((root / file).read_text(encoding="utf-8")), file)
        for name in _known(names, modules)
    ]


def room_of(file: str) -> str:
    """Return the room of a file: the longest folder of `FLOORS` that contains it."""
    return max((room for room in FLOORS if file == room or file.startswith(f"{room}/")), key=len)


def upward(imports: Sequence[Import]) -> list[str]:
    """Return the imports of another room that is not on a lower floor."""
    pairs = [(each, room_of(each.file), room_of(each.imported)) for each in imports]
    return [str(each) for each, own, other in pairs if own != other and FLOORS[other] >= FLOORS[own]]


def circle(imports: Sequence[Import]) -> list[str]:
    """Return the files of one circle of imports; empty without any."""
    graph: dict[str, set[str]] = defaultdict(set)
    for each in imports:
        graph[each.file].add(each.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def too_long(root: Path) -> list[str]:
    """Return the files of more than `LONGEST_FILE` lines."""
    lengths = {file: len((root / file).read_text(encoding="utf-8").splitlines()) for file in files_of(root)}
    return [f"{file}: {length} lines" for file, length in lengths.items() if length > LONGEST_FILE]


def same_names(root: Path) -> list[str]:
    """Return the file names that several files have although they play different parts."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for file in files_of(root):
        by_name[Path(file).stem].append(file)
    return [", ".join(files) for name, files in by_name.items() if len(files) > 1 and name not in SAME_PART]


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imported(tree: ast.Module, file: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line of each import, and the names that may be modules, the longest first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, [alias.name]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = _module(file).split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield from ((node.lineno, [f"{base}.{alias.name}", base]) for alias in node.names)
        elif isinstance(node, ast.Call) and _is_import_call(node.func) and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield node.lineno, [name.value]


def _is_import_call(function: ast.expr) -> bool:
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return called in ("import_module", "__import__")


def _known(names: Sequence[str], modules: Mapping[str, str]) -> Iterator[str]:
    yield from (name for name in names[:1] if name in modules)
    if names[0] not in modules:
        yield from (name for name in names[1:] if name in modules)
