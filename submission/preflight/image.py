"""Checks of the files that build the evaluator's image: Dockerfile, .dockerignore, apt.txt and the requirements."""

import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import PurePosixPath
from typing import NamedTuple

from pathspec import PathSpec, Pattern

from submission.preflight.repository import FailedError, Repository, listed

REQUIREMENTS = ("requirements.txt", "requirements-gpu.txt")
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?\s*==\s*(?P<version>[A-Za-z0-9.!+_-]+)")
_INCLUDE = re.compile(r"(-r\s*|--requirement[= ]\s*)(?P<file>\S.*)")
# Options that choose an index or a kind of build; `-e` is not among them, because it installs something.
_OPTION = re.compile(
    r"(-[cif]\b|--(constraint|index-url|extra-index-url|find-links|no-index|trusted-host|no-binary|only-binary"
    r"|prefer-binary|pre|require-hashes|use-feature)(\s|=|$))"
)
_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DEBIAN_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?")


Instruction = tuple[str, str]
"""A keyword of a Dockerfile in capitals, and the rest with continuation lines joined."""


class Requirement(NamedTuple):
    """One line of a requirements file; `version` is None unless it is exact."""

    file: str
    line: int
    text: str
    name: str
    version: str | None


def check_dockerfile(repository: Repository) -> str:
    """Require that the Dockerfile installs both requirements files and copies only files of the build context."""
    instructions = read_instructions(_text(repository, "Dockerfile"))
    if not instructions or instructions[0][0] not in ("FROM", "ARG"):
        raise FailedError("does not begin with FROM", "name the base image first")
    missing = sorted(set(REQUIREMENTS) - installed_requirements(instructions))
    if missing:
        raise FailedError(f"does not install {listed(missing)}", f"add RUN pip install -r {missing[0]}")
    try:
        _require_sources(repository, copied_sources(instructions))
    except (ValueError, NotImplementedError) as error:
        raise FailedError(f"copies a file that cannot be read: {error}", "name files of the repository") from None
    return f"installs {' and '.join(REQUIREMENTS)}"


def _require_sources(repository: Repository, sources: Sequence[str]) -> None:
    ignored = _ignored(repository)
    for source in sources:
        found = sorted(repository.root.glob(source.strip("/"))) if source.strip("./") else [repository.root]
        if not found:
            raise FailedError(f"copies {source}, which is not in the repository", "add the file, or drop the COPY")
        excluded = next(ignored.match_files(path.relative_to(repository.root) for path in found), None)
        if excluded:
            raise FailedError(f"copies {excluded}, which .dockerignore excludes", "remove it from .dockerignore")


def read_instructions(text: str) -> list[Instruction]:
    """Split a Dockerfile into its instructions; like Docker, drop comments and blank lines."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", " ", "\n".join(lines))
    split = (line.strip().split(None, 1) for line in joined.splitlines())
    return [(parts[0].upper(), parts[1] if len(parts) > 1 else "") for parts in split if parts]


def copied_sources(instructions: Sequence[Instruction]) -> list[str]:
    """Return the sources that COPY and ADD take from the build context, as written."""
    sources: list[str] = []
    for keyword, rest in instructions:
        words = _words(rest) if keyword in ("COPY", "ADD") else []
        flags = [word for word in words if word.startswith("--")]
        if not any(flag.startswith("--from=") for flag in flags):
            sources += [word for word in words if word not in flags][:-1]
    return [source for source in sources if "://" not in source]


def _words(rest: str) -> list[str]:
    try:
        array = json.loads(rest[rest.index("[") :]) if "[" in rest else None
    except ValueError:
        array = None
    return [str(word) for word in array] if isinstance(array, list) else shlex.split(rest)


def installed_requirements(instructions: Sequence[Instruction]) -> set[str]:
    """Return the names of the requirements files that a RUN installs with pip."""
    commands = re.split(r"&&|\|\||;|\n", " ; ".join(rest for keyword, rest in instructions if keyword == "RUN"))
    pip = (command for command in commands if re.search(r"\bpip3?\b.*\binstall\b", command))
    found = (re.findall(r"(?:\s-r|--requirement)[\s=]*['\"]?([^\s'\"]+)", command) for command in pip)
    return {name.rsplit("/", 1)[-1] for names in found for name in names}


def image_environment(repository: Repository) -> dict[str, str]:
    """Return the variables that the Dockerfile sets to plain values; none if it cannot be read."""
    try:
        instructions = read_instructions(_text(repository, "Dockerfile"))
        words = [word for keyword, rest in instructions if keyword == "ENV" for word in shlex.split(rest)]
    except (FailedError, ValueError):
        return {}
    pairs = (word.partition("=") for word in words)
    return {name: value for name, equals, value in pairs if equals and "$" not in value}


def check_dockerignore(repository: Repository) -> str:
    """Require that .dockerignore excludes the weights from the build."""
    ignored, weights = _ignored(repository), repository.weights_files
    sent = list(ignored.match_files(weights, negate=True))
    if sent:
        folder = repository.name_of(repository.weights_folder)
        raise FailedError(f"{listed(sent)} would be sent to the build of the image", f"add the line {folder}")
    return f"excludes {len(weights)} files of the weights"


def _ignored(repository: Repository) -> PathSpec[Pattern]:
    path = repository.root / ".dockerignore"
    return read_dockerignore(path.read_text(encoding="utf-8-sig", errors="replace") if path.is_file() else "")


def read_dockerignore(text: str) -> PathSpec[Pattern]:
    """Translate a .dockerignore into rules of .gitignore.

    Both let the last matching rule decide. Docker's patterns begin at the root, and a rule on a folder holds for all
    files in it, also under an exception. Two rare patterns keep git's meaning: Docker reads `[!a]` as "! or a", and
    lets `a**/b` match `ab` and `ax/y/b` too.

    Raises:
        FailedError: a pattern is malformed.
    """
    rules: list[str] = []
    for line in text.split("\n"):
        sign = "!" if line.strip().startswith("!") else ""
        pattern = posixpath.normpath(line.strip().removeprefix("!").strip()).strip("/")
        if not line.startswith("#") and pattern not in ("", "."):
            # "**x" is any path that ends in x, and "/**x" in the middle is "/**/x".
            rule = re.sub(r"/\*\*(?=[^/*])", "/**/", re.sub(r"^\*\*(?=[^/*])", "**/*", pattern))
            rules += (f"{sign}/{rule}", f"{sign}/{rule}/**")
    try:
        return PathSpec.from_lines("gitignore", rules)
    except (ValueError, re.error) as error:
        raise FailedError(f".dockerignore cannot be read: {error}", "correct the pattern", ".dockerignore") from None


def check_apt(repository: Repository) -> str:
    """Require that apt.txt holds names of packages only."""
    text = _text(repository, "apt.txt")
    if "\r" in text:
        raise FailedError("has Windows line ends", "save it with \\n at the end of lines")
    wrong = [word for word in text.split() if not _DEBIAN_PACKAGE.fullmatch(word)]
    if wrong:
        raise FailedError(f"{listed(wrong)}: no name of a package", "write names only, without comments")
    return f"{len(text.split())} packages"


def check_requirements(repository: Repository) -> str:
    """Require one exact version of every requirement."""
    versions: dict[str, str | None] = {}
    for found in [found for name in REQUIREMENTS for found in read_requirements(repository, name)]:
        where = f"{found.file}, line {found.line}"
        if ";" in found.text:
            raise FailedError(
                f"{where}: {found.text!r} is installed under a condition only",
                "remove the semicolon and the condition; the image is Linux with one Python",
            )
        if found.version is None:
            raise FailedError(f"{where}: {found.text!r} is not pinned", "write name==version")
        before = versions.setdefault(found.name, found.version)
        if before != found.version:
            raise FailedError(f"{where}: {found.name} {found.version} against {before} before", "pin one version")
    return f"{len(versions)} packages, exact versions"


def read_requirements(repository: Repository, name: str, within: tuple[str, ...] = ()) -> Iterator[Requirement]:
    """Yield the packages that a requirements file names, also through the files that it includes (`-r`).

    Options that choose an index or a kind of build are skipped, `--hash` and the like are cut off. `within` names the
    files that are being read, each of which is read once.
    """
    for number, text in filter(itemgetter(1), _logical_lines(_text(repository, name))):
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


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its number: without comments, and with its continuation lines joined."""
    bare = re.sub(r"(^|[ \t])#.*", "", text, flags=re.MULTILINE)
    for line in re.finditer(r"(.*\\[ \t\r]*\n)*.*", bare):
        yield bare.count("\n", 0, line.start()) + 1, " ".join(re.sub(r"\\\s*(\n|$)", " ", line[0]).split())


def normalised(name: str) -> str:
    """Return a package's name in the spelling that the index compares."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _text(repository: Repository, name: str) -> str:
    try:
        return (repository.root / name).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FailedError(f"{name} is missing", f"take {name} from the repository's history, or write it") from None
    except (OSError, ValueError) as error:
        raise FailedError(f"{name} cannot be read ({error})", "save it as text in UTF-8") from None
