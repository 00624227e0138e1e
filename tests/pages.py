"""Finds what pages and help texts name: paths, links, modules, commands with options, make targets and settings."""

import ast
import dataclasses
import io
import re
import runpy
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from models.settings import Settings
from tests.house import files_of

MADE = ("models/weights", "models/adapters/", "outputs", "benchmarks/results", "adapters", "selected")
"""Folders that commands make, which a checkout lacks."""
_CODE_BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```|^((?: {4}[^\n]*\n|\n)+)", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)|(?:src|href)=\"([^\"#]+)\"")
_ANCHOR = re.compile(r"\]\(([^)#:\s]*)#([\w-]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PATH = re.compile(r"(?<![\w./<-])([\w.-]+(?:/[\w.*+<>{}-]+)+/?)")
_DOTTED = re.compile(r"(?<![\w./-])([a-z_]+(?:\.\w+)+)(?![\w(]*/)")
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
    return sorted(path for path in named if not path.startswith(MADE) and not _is_there(root, path))


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
    blocks = {
        field.name
        for field in dataclasses.fields(Settings)
        if dataclasses.is_dataclass(get_type_hints(Settings)[field.name])
    }
    names = {name for name in _DOTTED.findall(text) if name.split(".")[0] in blocks and not _is_file_name(name)}
    return sorted(name for name in names if name.split(".")[0] != "prompts" and not _is_setting(name))


def _is_setting(name: str) -> bool:
    kind: Any = Settings
    for part in name.split("."):
        hints = get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
        if part not in hints:
            return False
        kind = hints[part]
    return True


def commands_in(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the program and the options of each printed command of the package."""
    for line in lines:
        found = re.search(
            r"(?:^|\s|/)(?:python[\d.]*|accelerate launch\b.*?) (?:-m ([\w.]+)|(\w+\.py))((?:\s.*)?)$", line.strip()
        )
        if not found:
            continue
        words = shlex.split(found[3].split(" | ")[0].split(" #")[0], posix=True) if found[3].count('"') % 2 == 0 else []
        yield found[1] or found[2], [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]


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
