"""Answers as ShopBench writes them: the numbers that a list prints instead of letters or texts."""

import re
from collections.abc import Sequence

from prompts.reading import read_numbered_list
from utilities.task_type import TaskType

_LETTER = re.compile(r"\(?([A-Z])(?:[).:].*)?\s*", re.DOTALL)
_NUMBER = re.compile(r"\(?(\d{1,3})(?:[).:](?!\d).*)?\s*", re.DOTALL)
_AT_LINE_START = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]+(?=\S)", re.MULTILINE)
_IN_A_LINE = re.compile(r"(?:^|(?<=[\s,;:]))\(?([A-Z])[).:][ \t]+(?=\S)", re.MULTILINE)
_FEWEST = 2
_FIRST = {TaskType.MULTIPLE_CHOICE: 0}
"""The number of the first option where letters are replaced; 1 for lists of candidates."""


def with_numbers(text: str, answer: object, task_type: TaskType) -> tuple[str, object]:
    """Return a question whose options are numbered, and its answer in ShopBench's form.

    A multiple-choice answer becomes an integer, a retrieval answer a list of integers, an entity answer a list of
    texts. What cannot be read is returned as it is.
    """
    if task_type is TaskType.MULTIPLE_CHOICE and isinstance(answer, str):
        text, numbers = _numbers(text, [answer.strip()], task_type)
        return text, numbers[0] if numbers else answer
    if task_type is TaskType.RETRIEVAL and isinstance(answer, str):
        text, numbers = _numbers(text, [part.strip() for part in answer.strip("[] ").split(",")], task_type)
        return text, numbers or answer
    if task_type is TaskType.NAMED_ENTITY_RECOGNITION and isinstance(answer, str):
        return text, [part.strip() for part in answer.split(",") if part.strip()]
    return text, answer


def with_numbered_lines(text: str) -> str:
    """Return a text with its lines of options A, B, ... numbered from 0, or as it is where it has a numbered list."""
    markers = _lettered(text, _AT_LINE_START)
    return _renumbered(text, markers, 0) if markers and read_numbered_list(text) is None else text


def _numbers(text: str, parts: Sequence[str], task_type: TaskType) -> tuple[str, list[int]]:
    """Return the text and the numbers of answers like "2", "(B)" or "B: red"; no numbers where one cannot be read."""
    written = [_NUMBER.fullmatch(part) for part in parts]
    if all(written):
        return text, [int(match[1]) for match in written if match]
    letters = [match[1] for part in parts if (match := _LETTER.fullmatch(part))]
    if len(letters) < len(parts):
        return text, []
    indices = [ord(letter) - ord("A") for letter in letters]
    first = _FIRST.get(task_type, 1)
    lettered = _lettered(text, _AT_LINE_START)
    listed = None if lettered else read_numbered_list(text)
    if listed:
        labels = [int(item.label) for item in listed.items]
        return text, [labels[index] for index in indices] if max(indices) < len(labels) else []
    markers = lettered or _lettered(text, _IN_A_LINE)
    if max(indices) >= len(markers):
        return text, []
    return _renumbered(text, markers, first), [index + first for index in indices]


def _lettered(text: str, style: re.Pattern[str]) -> list[re.Match[str]]:
    """Return where the options A, B, ... begin; nothing where there are not at least two."""
    markers: list[re.Match[str]] = []
    for match in style.finditer(text):
        if ord(match[1]) - ord("A") == len(markers):
            markers.append(match)
    return markers if len(markers) >= _FEWEST else []


def _renumbered(text: str, markers: Sequence[re.Match[str]], first: int) -> str:
    """Return the text with its lettered options as lines of numbers from `first`."""
    for index, marker in reversed(list(enumerate(markers, start=first))):
        before = text[: marker.start()].rstrip(" \t,;")
        newline = "" if not before or before.endswith("\n") else "\n"
        text = f"{before}{newline}{index}. {text[marker.end() :]}"
    return text
