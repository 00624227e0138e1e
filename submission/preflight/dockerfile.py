"""The instructions of a Dockerfile, read far enough to know what it copies and installs."""

import json
import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction: its keyword in capitals, and the rest of its line with continuations joined."""

    keyword: str
    rest: str


def read_instructions(text: str) -> list[Instruction]:
    """Split a Dockerfile into its instructions; comments and blank lines are dropped, as Docker does."""
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", " ", "\n".join(lines))
    split = (line.strip().split(None, 1) for line in joined.splitlines())
    return [Instruction(parts[0].upper(), parts[1] if len(parts) > 1 else "") for parts in split if parts]


def copied_sources(instructions: Sequence[Instruction]) -> list[str]:
    """Return what COPY and ADD take from the build context, as it is written."""
    sources: list[str] = []
    for keyword, rest in instructions:
        words = _words(rest) if keyword in ("COPY", "ADD") else []
        flags = [word for word in words if word.startswith("--")]
        if not any(flag.startswith("--from=") for flag in flags):
            sources += [word for word in words if word not in flags][:-1]
    return [source for source in sources if "://" not in source]


def _words(rest: str) -> list[str]:
    try:
        listed = json.loads(rest[rest.index("[") :]) if "[" in rest else None
    except ValueError:
        listed = None
    return [str(word) for word in listed] if isinstance(listed, list) else shlex.split(rest)


def installed_requirements(instructions: Sequence[Instruction]) -> set[str]:
    """Return the file names of the requirements that some RUN installs by pip."""
    runs = " ; ".join(rest for keyword, rest in instructions if keyword == "RUN")
    commands = re.split(r"&&|\|\||;|\n", runs)
    pip = (command for command in commands if re.search(r"\bpip3?\b.*\binstall\b", command))
    found = (re.findall(r"(?:\s-r|--requirement)[\s=]*['\"]?([^\s'\"]+)", command) for command in pip)
    return {name.rsplit("/", 1)[-1] for names in found for name in names}


def environment_of(instructions: Sequence[Instruction]) -> dict[str, str]:
    """Return what ENV sets, without the values that are built from others."""
    words = [word for keyword, rest in instructions if keyword == "ENV" for word in shlex.split(rest)]
    pairs = (word.partition("=") for word in words)
    return {name: value for name, equals, value in pairs if equals and "$" not in value}
