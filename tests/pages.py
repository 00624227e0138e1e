"""Finds what pages and help texts name: paths, links, modules, commands with options, make targets and settings."""

import ast
import dataclasses
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import yaml

from models.settings import Settings
from tests.house import files_of

MADE = ("models/weights", "outputs", "benchmarks/results", "adapters", "selected")
"""Folders that commands make, which a checkout lacks."""
_CODE_BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```|^((?: {4}[^\n]*\n|\n)+)", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)|(?:src|href)=\"([^\"#]+)\"")
_ANCHOR = re.compile(r"\]\(([^)#:\s]*)#([\w-]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PATH = re.compile(r"(?<![\w./<-])([\w.-]+(?:/[\w.*+<>{}-]+)+/?)")
_DOTTED = re.compile(r"(?<![\w./-])([a-z_]+(?:\.\w+)+)(?![\w(]*/)")
_FILE_NAME = re.compile(r"[\w.-]+\.(?:py|md|yaml|json|toml|txt|html|jinja)")
_VARIABLE = re.compile(r"\bSHOPALIGN_[A-Z_]*[A-Z]")
_PLACEHOLDER = re.compile(r"^\s*([A-Z]+(?:_[A-Z]+)+)\s*$", re.MULTILINE)
_MAKE = re.compile(r"(?<![\w-])make ([a-z][a-z-]*)(?![\w-])")


class Mention(NamedTuple):
    """Something that a page names, with the page's name for the failure's message."""

    page: str
    text: str


def pages(root: Path) -> list[Path]:
    """Return the pages of the project that describe its present state."""
    found = [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md"), *root.glob("*/README.md")]
    return sorted({*found, root / "models" / "adapters" / "README.md"})


def code_of(page: str) -> list[str]:
    """Return the lines of a page's code blocks, continued lines joined, and its inline code."""
    blocks = [first or second for first, second in _CODE_BLOCK.findall(page)]
    lines = [line for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    return [*lines, *_INLINE.findall(page)]


def missing_links(root: Path, page: Path) -> list[str]:
    """Return the links and pictures of a page whose files do not exist."""
    targets = (first or second for first, second in _LINK.findall(page.read_text(encoding="utf-8")))
    return [target for target in targets if "://" not in target and not (page.parent / target).exists()]


def missing_anchors(page: Path) -> list[str]:
    """Return the links of a page to headings that do not exist, in the page or in another one."""
    links = _ANCHOR.findall(page.read_text(encoding="utf-8"))
    return [f"{target}#{anchor}" for target, anchor in links if anchor not in _anchors(page.parent / target, page)]


def _anchors(target: Path, page: Path) -> set[str]:
    text = (target if target.is_file() else page).read_text(encoding="utf-8")
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}


def missing_paths(root: Path, text: str) -> list[str]:
    """Return the paths below a folder of the tree that do not exist; those of made folders are passed over."""
    tops = {path.name for path in root.iterdir() if not path.name.startswith(".")} | {".ci"}
    found = (match[1].rstrip("/.") for match in _PATH.finditer(text))
    named = {path for path in found if path.split("/")[0] in tops and "<" not in path and "{" not in path}
    return sorted(path for path in named if not _is_made(path) and not _is_there(root, path))


def _is_made(path: str) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in MADE)


def _is_there(root: Path, path: str) -> bool:
    return any(root.glob(path)) if "*" in path else (root / path).exists()


def missing_modules(root: Path, text: str) -> list[str]:
    """Return the dotted names below a room that are neither a module nor a name that a module defines."""
    modules = {file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in files_of(root)}
    rooms = {module.split(".")[0] for module in modules} - {"local_evaluation"} | {"tests"}
    names = {name for name in _DOTTED.findall(text) if name.split(".")[0] in rooms and not _is_file_name(name)}
    return sorted(name for name in names if not _is_defined(root, name) and not _is_setting(name))


def _is_file_name(name: str) -> bool:
    return name.rsplit(".", 1)[-1] in ("py", "md", "yaml", "json", "jsonl", "toml", "txt", "html")


def _is_defined(root: Path, name: str) -> bool:
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        base = root.joinpath(*parts[:count])
        file = base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"
        if base.is_dir() and count == len(parts):
            return True
        if file.is_file():
            return count == len(parts) or parts[count] in _names_in(file)
    return False


@cache
def _names_in(file: Path) -> frozenset[str]:
    names = set[str]()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names.update(alias.asname or alias.name for alias in node.names)
    return frozenset(names)


def missing_targets(root: Path, text: str) -> list[str]:
    """Return the make targets that the Makefile lacks."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    return sorted({name for name in _MAKE.findall(text) if not re.search(rf"^{name}:", makefile, re.MULTILINE)})


def missing_settings(text: str) -> list[str]:
    """Return the names that begin with a block of the settings and lead to no setting."""
    blocks = _blocks()
    names = {name for name in _DOTTED.findall(text) if name.split(".")[0] in blocks and not _is_file_name(name)}
    return sorted(name for name in names if name.split(".")[0] != "prompts" and not _is_setting(name))


def _blocks() -> set[str]:
    return {name for name, kind in get_type_hints(Settings).items() if dataclasses.is_dataclass(kind)}


def _is_setting(name: str) -> bool:
    kind: Any = Settings
    for part in name.split("."):
        hints = get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        if part not in hints:
            return False
        kind = hints[part]
    return True


def undefined_files(root: Path, page: str) -> list[str]:
    """Return the names of single files in inline code that neither the tree holds nor the code writes."""
    names = {name for name in _INLINE.findall(page) if _FILE_NAME.fullmatch(name) and not name[:2].isupper()}
    return sorted(name for name in names if name not in _tree_names(root) and name not in _code(root))


@cache
def _tree_names(root: Path) -> frozenset[str]:
    tops = [path for path in root.iterdir() if not path.name.startswith(".")]
    inside = (path for top in tops if top.is_dir() and not _is_made(top.name) for path in top.rglob("*.*"))
    return frozenset(path.name for path in (*tops, *inside))


@cache
def _code(root: Path) -> str:
    return "\n".join((root / file).read_text(encoding="utf-8") for file in files_of(root))


def variables_of(root: Path) -> frozenset[str]:
    """Return the environment variables of the package, which its code names."""
    return frozenset(_VARIABLE.findall(_code(root)))


def missing_variables(root: Path, text: str) -> list[str]:
    """Return the environment variables of the package that no code names."""
    return sorted(set(_VARIABLE.findall(text)) - variables_of(root))


def placeholders(text: str) -> list[str]:
    """Return the lines of capitals that a writer left for a later text."""
    return _PLACEHOLDER.findall(text)


def missing_keys(page: str) -> list[str]:
    """Return the keys in a page's blocks of settings that are no settings."""
    blocks = (textwrap.dedent(first or second) for first, second in _CODE_BLOCK.findall(page))
    return [name for block in blocks for name in _keys(_as_mapping(block)) if not _is_setting(name)]


def _as_mapping(block: str) -> Mapping[str, Any]:
    """Return the content of a block that is a settings file; empty for any other block."""
    try:
        content = yaml.safe_load(block)
    except yaml.YAMLError:
        return {}
    is_settings = isinstance(content, dict) and any(isinstance(content.get(name), dict) for name in _blocks())
    return content if is_settings else {}


def _keys(content: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in content.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict) and _is_setting(f"{prefix}{key}"):
            yield from _keys(value, f"{prefix}{key}.")


def leaves(kind: Any = Settings, prefix: str = "") -> Iterator[str]:
    """Yield the full names of all settings that are no blocks."""
    for name, inner in get_type_hints(kind).items():
        if dataclasses.is_dataclass(inner):
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def undocumented(page: str) -> list[str]:
    """Return the settings that the page names neither in full nor by `block.<kind>`."""
    named = set(_INLINE.findall(page))
    groups = tuple(name.partition("<")[0] for name in named if re.fullmatch(r"[\w.]+\.<[\w ]+>", name))
    return [name for name in leaves() if name not in named and f"{name.rpartition('.')[0]}." not in groups]
