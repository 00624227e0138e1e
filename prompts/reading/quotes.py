"""Reads the quoted parts of a question, with any quotation marks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CLOSERS: Mapping[str, str] = {
    "'": "'", '"': '"', "`": "`'", "‘": "’", "‚": "‘’", "“": "”", "„": "“”", "«": "»", "»": "«", "‹": "›",
    "「": "」", "『": "』", "《": "》",
}  # fmt: skip
_OPENER = re.compile("[" + "".join(_CLOSERS) + "]")
_STRAIGHT = frozenset("'\"`")
_STEPS = {opener: re.compile("[\n" + "".join(set(closers + opener)) + "]") for opener, closers in _CLOSERS.items()}
_LATIN = re.compile(r"[A-Za-z0-9À-ɏ]")
_POSSESSIVE = re.compile(r"[sS]['’]\s+\w")
_AFTER_AN_END = frozenset(" \t\r\n,.;:!?)]")
_DEEPEST = 3  # this and the next two bound how often a mark is looked at, so that reading stays linear
_MOST_DOUBTFUL = 4
_MOST_OPENERS = 1_000


@dataclass(frozen=True)
class Quoted:
    """A quoted text; `start` and `end` enclose its quotation marks."""

    text: str
    start: int
    end: int


def read_quoted(text: str) -> list[Quoted]:
    """Return the quoted parts of `text` in order, none inside another, none over several lines.

    An apostrophe ("men's", "boys' shoes"), an inch or a foot mark (4") ends no quotation while a better end follows.
    """
    found: list[Quoted] = []
    at = 0
    for _ in range(_MOST_OPENERS):
        opener = _OPENER.search(text, at)
        if not opener:
            break
        start = opener.start()
        end = _closing(text, start) if _opens(text, start) else None
        if end is None or end == start + 1:
            at = start + 1
            continue
        found.append(Quoted(text[start + 1 : end].strip(), start, end + 1))
        at = end + 1
    return found


def unquoted(text: str) -> str:
    """Return `text` without quotation marks around all of it."""
    parts = read_quoted(text)
    return parts[0].text if parts and parts[0].start == 0 and parts[0].end >= len(text) - 1 else text


def _opens(text: str, at: int) -> bool:
    """Return whether a mark may open a quotation; curved ones always may."""
    if text[at] not in _STRAIGHT and text[at] != "»":
        return True
    before, after = text[at - 1 : at] if at else " ", text[at + 1 : at + 2]
    if after == " ":
        return before.isspace()
    return bool(after) and after not in _AFTER_AN_END and not _LATIN.match(before)


def _closing(text: str, start: int) -> int | None:
    """Return where the quotation that opens at `start` closes, before its line ends or another one opens."""
    opener = text[start]
    doubtful: int | None = None
    depth = looked = 0
    for step in _STEPS[opener].finditer(text, start + 1):
        at = step.start()
        if step[0] == "\n" or step[0] not in _CLOSERS[opener]:
            return doubtful
        if not _closes(text, at):
            if _opens(text, at):
                if doubtful is not None or depth == _DEEPEST:
                    return doubtful
                depth += 1
            continue
        if depth == 0 and not _is_doubtful(text, at):
            return at
        doubtful = at if doubtful is None or depth else doubtful
        depth = max(depth - 1, 0)
        looked += 1
        if looked == _MOST_DOUBTFUL:
            return doubtful
    return doubtful


def _closes(text: str, at: int) -> bool:
    """Return whether a mark may close a quotation; an apostrophe inside a word may not."""
    if text[at] not in "'\"`’":
        return True
    after = text[at + 1 : at + 2]
    return after in _AFTER_AN_END if text[at - 1].isspace() else not _LATIN.match(after)


def _is_doubtful(text: str, at: int) -> bool:
    """Return whether a closing mark may as well be a possessive's apostrophe, an inch or a foot mark."""
    if text[at - 1].isspace() and text[at + 1 : at + 2] == " ":
        return True
    return text[at - 1].isdigit() or bool(_POSSESSIVE.match(text, at - 1))
