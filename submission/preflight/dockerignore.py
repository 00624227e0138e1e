"""Docker's rules for `.dockerignore`: patterns from the root, the last one that matches decides."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath


def read_patterns(text: str) -> list[str]:
    """Return the patterns of the file, without comments and blank lines."""
    lines = (line.strip() for line in text.lstrip("\ufeff").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def is_ignored(patterns: Sequence[str], path: str) -> bool:
    """Tell whether `path`, from the root, is kept out of the build; a folder's rule holds for all in it."""
    of_path = [path, *map(str, PurePosixPath(path).parents)]
    ignored = False
    for pattern in patterns:
        excepted = pattern.startswith("!")
        rule = _expression(pattern.removeprefix("!").strip())
        if ignored == excepted and any(rule.fullmatch(name) for name in of_path):
            ignored = not excepted
    return ignored


def _expression(pattern: str) -> re.Pattern[str]:
    """Translate `**` (any folders), `*` and `?` (within a name) and `[...]`; the rest stands for itself."""
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|\\.|.", str(PurePosixPath(pattern.strip("/"))), re.DOTALL)
    meanings = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meanings.get(token) or _literal(token) for token in tokens), re.DOTALL)


def _literal(token: str) -> str:
    if len(token) > 1 and token.startswith("["):
        return "[" + token[1:-1].replace("\\", r"\\") + "]"
    return re.escape(token[-1])
