"""Reads the structure of a source tree: its imports, the floors of its files, circles, lengths and names."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from pathspec import GitIgnoreSpec

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
    "tests": 10,
}
"""A folder or file -> its floor; each may import only rooms of lower floors and its own."""
SAME_PART = frozenset(
    {
        "models/engines/registry.py",
        "prompts/registry.py",
        "submission/preflight/registry.py",
        "tuning/merging/registry.py",
        "tuning/selection/registry.py",
        "models/engines/settings.py",
        "models/settings.py",
        "prompts/settings.py",
        "retrieval/settings.py",
        "models/engines/transformers_engine/engine.py",
        "models/engines/vllm_engine/engine.py",
    }
)
"""Files whose names other files have too, because they play the same part in their rooms."""
_PYTHON_NAMES = ("__init__", "__main__")
LONGEST_FILE = 300


class Import(NamedTuple):
    """One import: the file and line that imports, and the imported file, both from the root."""

    file: str
    line: int
    imported: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.imported}"


def files_of(root: Path) -> list[str]:
    """Return the Python files of all rooms but the tests, relative to the root."""
    return sorted(file for file in _all_files(root) if not file.startswith("tests/"))


def _all_files(root: Path) -> list[str]:
    found = (
        path for room in FLOORS for path in ((root / room).rglob("*.py") if (root / room).is_dir() else [root / room])
    )
    return sorted({path.relative_to(root).as_posix() for path in found if path.is_file()})


def without_floor(root: Path) -> list[str]:
    """Return the Python files outside the folders and files of `FLOORS`; ignored and hidden ones are passed over."""
    rules = root / ".gitignore"
    ignored = GitIgnoreSpec.from_lines(rules.read_text(encoding="utf-8").splitlines() if rules.is_file() else [])
    tops = [path for path in root.iterdir() if path.name not in FLOORS and not path.name.startswith(".")]
    files = (path for top in tops for path in (top.rglob("*.py") if top.is_dir() else [top]))
    names = (path.relative_to(root).as_posix() for path in files if path.suffix == ".py")
    return sorted(name for name in names if not ignored.match_file(name))


def imports_of(root: Path) -> list[Import]:
    """Return all imports between files of the tree, those in functions and under TYPE_CHECKING included.

    A text that equals the dotted name of a module counts as an import: it may name the program of another process.
    """
    files = _all_files(root)
    modules = {_module(folder): folder for folder in _folders(files)} | {_module(file): file for file in files}
    return [
        Import(file, line, modules[name])
        for file in files
        for line, names in sorted(set(imported_names((root / file).read_text(encoding="utf-8"), file)))
        for name in [name for name in names if name in modules][:1]
        if modules[name] != file
    ]


def _folders(files: Sequence[str]) -> set[str]:
    """Return the folders of files, which Python can import without an `__init__.py`."""
    return {parent.as_posix() for file in files for parent in Path(file).parents} - {"."}


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
    lengths = {file: len((root / file).read_text(encoding="utf-8").splitlines()) for file in _all_files(root)}
    return [f"{file}: {length} lines" for file, length in lengths.items() if length > LONGEST_FILE]


def same_names(root: Path) -> list[str]:
    """Return the file names that several files have although they play different parts."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for file in files_of(root):
        by_name[Path(file).stem].append(file)
    return [
        ", ".join(files)
        for name, files in by_name.items()
        if len(files) > 1 and name not in _PYTHON_NAMES and not SAME_PART.issuperset(files)
    ]


def _module(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported_names(text: str, file: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the line of each import of a file, and the names that may be modules, the longest first."""
    tree, package = ast.parse(text), _package(file)
    importers = {"import_module", "__import__"} | _aliases(tree)
    constants = dict(_constants(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, (alias.name,)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, (f"{base}.{alias.name}", base)) for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node.func) in importers:
            name, anchor = (_text(each, constants) for each in _arguments(node))
            yield node.lineno, (_absolute(name, anchor or package),)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            yield node.lineno, (node.value,)


def _package(file: str) -> str:
    """Return the package that the relative imports of a file start from."""
    return _module(file) if Path(file).stem == "__init__" else _module(file).rpartition(".")[0]


def _absolute(name: str, package: str) -> str:
    """Return the full name of a module, which may be relative to a package: `..model` in `a.b` is `a.model`."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    parts = package.split(".")
    return ".".join(filter(None, (*parts[: len(parts) - level + 1], name[level:])))


def _aliases(tree: ast.Module) -> set[str]:
    """Return the names under which a file imports `import_module`."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "importlib")
    return {alias.asname or alias.name for node in nodes for alias in node.names if alias.name == "import_module"}


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the names that a file assigns a text to, and the texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((each.id, str(node.value.value)) for each in targets if isinstance(each, ast.Name))


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _arguments(call: ast.Call) -> tuple[ast.expr | None, ast.expr | None]:
    """Return the name of the module and the package of a call of `import_module`."""
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    given = [*call.args[:2], None, None]
    return given[0] or named.get("name"), given[1] or named.get("package")


def _text(value: ast.expr | None, constants: Mapping[str, str]) -> str:
    """Return the text of a constant or of a name of one; empty for any other expression, `__package__` included."""
    if isinstance(value, ast.Name):
        return constants.get(value.id, "")
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""
