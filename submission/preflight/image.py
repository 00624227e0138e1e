"""What the evaluator builds the image from: Dockerfile, .dockerignore, apt.txt and the requirements."""

import re
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from submission.preflight.dockerfile import (
    Instruction,
    copied_sources,
    environment_of,
    installed_requirements,
    read_instructions,
)
from submission.preflight.dockerignore import is_ignored, read_patterns
from submission.preflight.repository import Repository
from submission.preflight.verdict import FailedError, listed

REQUIREMENTS = ("requirements.txt", "requirements-gpu.txt")
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?\s*==\s*(?P<version>[A-Za-z0-9.!+_-]+)")
_INCLUDE = re.compile(r"(-r\s*|--requirement[= ]\s*)(?P<file>\S.*)")
# What chooses where packages come from and which builds are taken; `-e` is none of these, it installs.
_OPTION = re.compile(
    r"(-[cif]\b|--(constraint|index-url|extra-index-url|find-links|no-index|trusted-host|no-binary|only-binary"
    r"|prefer-binary|pre|require-hashes|use-feature)(\s|=|$))"
)
_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DEBIAN_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?")


class Requirement(NamedTuple):
    """One line of a requirements file; `version` is None unless it is exact."""

    file: str
    line: int
    text: str
    name: str
    version: str | None


def check_dockerfile(repository: Repository) -> str:
    """Require that the Dockerfile installs both requirements files, and copies what the build context has."""
    instructions = read_instructions(_text(repository, "Dockerfile"))
    if not instructions or instructions[0].keyword not in ("FROM", "ARG"):
        raise FailedError("does not begin with FROM", "name the image to build on first")
    missing = sorted(set(REQUIREMENTS) - installed_requirements(instructions))
    if missing:
        raise FailedError(f"does not install {listed(missing)}", f"add RUN pip install -r {missing[0]}")
    try:
        _require_sources(repository, instructions)
    except (ValueError, NotImplementedError) as error:
        raise FailedError(f"copies what cannot be read: {error}", "name files of the repository") from None
    return f"installs {' and '.join(REQUIREMENTS)}"


def _require_sources(repository: Repository, instructions: list[Instruction]) -> None:
    patterns = _patterns(repository)
    for source in copied_sources(instructions):
        found = sorted(repository.root.glob(source.strip("/"))) if source.strip("./") else [repository.root]
        if not found:
            raise FailedError(f"copies {source}, which is not in the repository", "add the file, or drop the COPY")
        names = [path.relative_to(repository.root).as_posix() for path in found]
        ignored = [name for name in names if is_ignored(patterns, name)]
        if ignored:
            raise FailedError(f"copies {ignored[0]}, which .dockerignore keeps out", "take it out of .dockerignore")


def image_environment(repository: Repository) -> dict[str, str]:
    """Return the variables that the image sets, none when its Dockerfile cannot be read."""
    try:
        return environment_of(read_instructions(_text(repository, "Dockerfile")))
    except (FailedError, ValueError):
        return {}


def check_dockerignore(repository: Repository) -> str:
    """Require that the weights are kept out of the image's build."""
    patterns = _patterns(repository)
    weights = repository.weights_files
    sent = [name for name in weights if not is_ignored(patterns, name)]
    if sent:
        folder = repository.weights_folder.relative_to(repository.root).as_posix()
        raise FailedError(f"{listed(sent)} would be sent to the image's build", f"add the line {folder}")
    return f"keeps out {len(weights)} files of the weights"


def _patterns(repository: Repository) -> list[str]:
    path = repository.root / ".dockerignore"
    return read_patterns(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else []


def check_apt(repository: Repository) -> str:
    """Require that apt.txt holds names of packages and nothing that apt-get would take for one."""
    text = _text(repository, "apt.txt")
    if "\r" in text:
        raise FailedError("has Windows line ends", "save it with \\n at the end of lines")
    wrong = [word for word in text.split() if not _DEBIAN_PACKAGE.fullmatch(word)]
    if wrong:
        raise FailedError(f"{listed(wrong)}: no name of a package", "write names only, without comments")
    return f"{len(text.split())} packages"


def check_requirements(repository: Repository) -> str:
    """Require one exact version of every requirement."""
    requirements = [found for name in REQUIREMENTS for found in read_requirements(repository, name)]
    for found in requirements:
        if ";" in found.text:
            raise FailedError(
                f"{found.file}, line {found.line}: {found.text!r} is installed under a condition only",
                "take away what follows the semicolon; the image is Linux with one Python",
            )
        if found.version is None:
            raise FailedError(f"{found.file}, line {found.line}: {found.text!r} is not pinned", "write name==version")
    versions: dict[str, str | None] = {}
    for found in requirements:
        if versions.setdefault(found.name, found.version) != found.version:
            raise FailedError(
                f"{found.file}, line {found.line}: {found.name} {found.version} against {versions[found.name]} before",
                "pin one version",
            )
    return f"{len(versions)} packages, exact versions"


def read_requirements(repository: Repository, name: str, within: tuple[str, ...] = ()) -> Iterator[Requirement]:
    """Yield the packages that a requirements file names, and those of the files that it includes (`-r`).

    Lines of options that choose an index or a kind of build are passed over, `--hash` and the like are cut off.
    `within` names the files that are being read, each of which is read once.
    """
    for number, text in filter(itemgetter(1), _joined_lines(_text(repository, name))):
        included = _INCLUDE.fullmatch(text)
        if included:
            file = (PurePosixPath(name).parent / included["file"]).as_posix()
            if file not in (*within, name):
                yield from read_requirements(repository, file, (*within, name))
        elif not _OPTION.match(text):
            named, bare = _NAMED.match(text), re.sub(r"(\s--[a-z-]+[= ]\S+)+$", "", text)
            pinned = _PINNED.fullmatch(bare)
            version = pinned["version"] if pinned else None
            yield Requirement(name, number, text, normalised(named[0] if named else text), version)


def _joined_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield what a requirements file says with the number of its first line: continuations joined, comments dropped."""
    first, parts = 1, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if parts else number
        said = re.sub(r"(^|\s)#.*", "", line).strip()
        parts.append(said.removesuffix("\\").strip())
        if not said.endswith("\\"):
            yield first, " ".join(filter(None, parts))
            parts = []
    yield first, " ".join(filter(None, parts))


def normalised(name: str) -> str:
    """Spell a package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _text(repository: Repository, name: str) -> str:
    path: Path = repository.root / name
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FailedError(f"{name} is missing", f"take {name} from the repository's history, or write it") from None
    except (OSError, ValueError) as error:
        raise FailedError(f"{name} cannot be read ({error})", "save it as text in UTF-8") from None
