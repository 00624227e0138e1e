"""Reads lines that are alike up to a number which counts up: rows of a table, "Candidate 1: ...", "1 text"."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_LONGEST_HEAD = 40
_FEWEST = 3
_NUMBER = re.compile(r"(\d{1,3})([ \t\u3000]*(?:[.):：\]|｜;,→=>-]{1,2}[ \t\u3000]*)?)(?=\S)")
_TEXT = re.compile(r"[^\W\d]|[\"'“«„「([0-9]")
_ENDS_WITH_DIGITS = re.compile(r"\d+$")


class CountedLine(NamedTuple):
    """The number of a line, where it begins, and where its text begins and ends."""

    number: int
    start: int
    text: int
    end: int


def read_counted_lines(prompt: str) -> list[CountedLine]:
    """Return the longest run of lines that count up from 0 or 1 by one, of three lines or more; empty without one."""
    runs: list[list[CountedLine]] = [[]]
    before: tuple[str, str] = ("", "")
    last = ""
    for start, line in _lines(prompt):
        found = _number_beside(last, line, runs[-1][-1].number if runs[-1] else None, before)
        if found is None:
            runs.append([])
        elif runs[-1]:
            runs[-1].append(_counted(found, start, line))
        else:
            first = found
            previous = _previous(prompt, start, last)
            runs[-1] += [_counted(first, previous, last, -1), _counted(found, start, line)]
        before = found[1:3] if found else ("", "")
        last = line
    return max(runs, key=len) if max(map(len, runs)) >= _FEWEST else []


Found = tuple[int, str, str]


def _lines(prompt: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their starts."""
    at = 0
    for line in prompt.split("\n"):
        if line.strip():
            yield at, line
        at += len(line) + 1


def _common_start(first: str, second: str) -> str:
    alike = next((at for at, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), None)
    return first[: min(len(first), len(second))] if alike is None else first[:alike]


def _number_beside(last: str, line: str, expected: int | None, before: tuple[str, str]) -> Found | None:
    """Return the number of a line that follows on the number of the line before, with what stands around it."""
    head = _ENDS_WITH_DIGITS.sub("", _common_start(last[:_LONGEST_HEAD], line[:_LONGEST_HEAD]))
    if expected is not None:
        head = before[0]
        if not line.startswith(head):
            return None
    here, there = _NUMBER.match(line, len(head)), _NUMBER.match(last, len(head))
    if not here or not there or here[2] != there[2] or int(here[1]) != int(there[1]) + 1:
        return None
    if expected is None and int(there[1]) > 1:
        return None
    if not here[2].strip() and not (here[2] and _TEXT.match(line, here.end())):
        return None
    return int(here[1]), head, here[2]


def _counted(found: Found, start: int, line: str, step: int = 0) -> CountedLine:
    number, head, between = found
    text = len(head) + len(str(number + step)) + len(between)
    return CountedLine(number + step, start + len(head), start + text, start + len(line))


def _previous(prompt: str, start: int, last: str) -> int:
    return prompt.rindex(last, 0, start)
