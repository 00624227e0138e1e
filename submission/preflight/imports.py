"""What the code of a submission imports: nothing that is not in the repository or pinned."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath

from submission.preflight.image import REQUIREMENTS, normalised, read_requirements
from submission.preflight.repository import Repository
from submission.preflight.source_scan import Import, SourceScan, scan
from submission.preflight.verdict import FailedError

ENTRY = "models/user_config.py"
# An engine may be started as a program of its own, so every module of models/ is an entry beside the evaluator's.
ENTRIES = "models/"


def check_imports(repository: Repository) -> str:
    """Require that every import is of the standard library, the repository, or a pinned requirement."""
    scans = reached(repository)
    installed = _modules(repository, REQUIREMENTS)
    # An engine that the settings do not choose may need what the image lacks: it is imported in a function.
    optional = installed | _modules(repository, sorted(path.name for path in repository.root.glob("requirements*.txt")))
    chosen = repository.settings.engine("name")
    for name, found in scans.items():
        strict = bool(chosen) and chosen in PurePosixPath(name).stem
        for each in found.imports:
            _require_known(repository.root, name, each, optional if each.lazy and not strict else installed)
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
        raise FailedError(f"{where}: there is no module {module}", "add it, or mend the import")
    raise FailedError(
        f"{where}: {top} is in no requirements file that the image installs",
        f"pin its package in {' or '.join(REQUIREMENTS)}, or remove the import",
    )


def _modules(repository: Repository, files: Iterable[str]) -> frozenset[str]:
    """Return the modules of the packages in these files: as installed here, else named like the package."""
    packages = {found.name for name in files for found in read_requirements(repository, name)}
    by_package = _modules_by_package()
    return frozenset(
        module for package in packages for module in (*by_package.get(package, ()), package.replace("-", "_"))
    )


@cache
def _modules_by_package() -> Mapping[str, tuple[str, ...]]:
    by_package: dict[str, tuple[str, ...]] = {}
    for module, packages in packages_distributions().items():
        for package in map(normalised, packages):
            by_package[package] = (*by_package.get(package, ()), module)
    return by_package


def reached(repository: Repository) -> dict[str, SourceScan]:
    """Return the modules that the evaluator's import can reach, by path from the root.

    Raises:
        FailedError: one is no Python, or is not in git.
    """
    tracked = repository.tracked
    if ENTRY not in tracked:
        raise FailedError(f"{ENTRY} is not in git", "add it: the evaluator imports UserModel from it", "imports")
    waiting = sorted(name for name in tracked if name.startswith(ENTRIES) and name.endswith(".py"))
    scans: dict[str, SourceScan] = {}
    while waiting:
        name = waiting.pop()
        if name not in scans:
            if name not in tracked:
                raise FailedError(f"{name} is imported but not in git", "add it (is it in .gitignore?)", "imports")
            scans[name] = _scanned(repository.root, name)
            waiting += [file for found in scans[name].imports for file in _files(repository.root, name, found)]
    return scans


def _scanned(root: Path, name: str) -> SourceScan:
    try:
        return scan((root / name).read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        raise FailedError(f"{name} is no Python: {error}", "mend the file", "imports") from None


def _files(root: Path, name: str, found: Import) -> Iterator[str]:
    """Yield the repository's files that an import loads; what is taken out of a package may be a module itself."""
    module = _absolute(name, found)
    for candidate in (module, *(f"{module}.{taken}" for taken in found.names)):
        if file := _file_of(root, candidate):
            yield file


def _absolute(name: str, found: Import) -> str:
    above = PurePosixPath(name).parts[: -found.level] if found.level else ()
    return ".".join((*above, *([found.module] if found.module else [])))


def _file_of(root: Path, module: str) -> str | None:
    """Return the repository's file of a module, None for a module of others."""
    path = module.replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if (root / name).is_file()), None)
