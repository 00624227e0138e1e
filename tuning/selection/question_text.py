"""A question's text: its options numbered as ShopBench numbers them, its words, and the words of its template."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from prompts.reading import read_numbered_list
from prompts.reading.labels import QUOTE_MARK, own_words
from retrieval import lexical
from utilities.task_type import TaskType

Words = tuple[str, ...]
_LETTER = re.compile(r"\(?([A-Z])(?:[).:].*)?\s*", re.DOTALL)
_NUMBER = re.compile(r"\(?(\d{1,3})(?:[).:](?!\d).*)?\s*", re.DOTALL)
_AT_LINE_START = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]+(?=\S)", re.MULTILINE)
_IN_A_LINE = re.compile(r"(?:^|(?<=[\s,;:]))\(?([A-Z])[).:][ \t]+(?=\S)", re.MULTILINE)
_FEWEST = 2


@dataclass(frozen=True)
class Parts:
    """A question's folded words.

    Attributes:
        words: all words, without the numbers or letters of options.
        template: the words outside of quotations, labelled content and candidates, a tuple for each run of them.
        options: the words of each candidate, in order; empty without candidates.
        around: all words but those of the candidates.
    """

    words: Words
    template: tuple[Words, ...]
    options: tuple[Words, ...] = ()
    around: Words = ()


def read_parts(text: str) -> Parts:
    """Split a question as the package's own prompts split it."""
    text = _with_numbered_lines(text)
    listed = read_numbered_list(text)
    template = tuple(folded(run) for run in own_words(text, listed).split(QUOTE_MARK) if run.strip())
    if listed is None:
        words = folded(text)
        return Parts(words, template, (), words)
    options = tuple(folded(item.text) for item in listed.items)
    before, after = folded(listed.before), folded(listed.after)
    return Parts((*before, *joined(options), *after), template, options, (*before, *after))


def joined(runs: tuple[Words, ...]) -> Words:
    """Return the words of several runs as one run."""
    return tuple(word for run in runs for word in run)


def folded(text: str) -> Words:
    """Return a text's words in the form in which they are compared; equal words, of millions, are one object."""
    return tuple(sys.intern(word) for word in lexical.words(text))


def with_numbers(text: str, answer: object, task_type: TaskType) -> tuple[str, object]:
    """Return a question with numbered options, and its answer in ShopBench's form.

    A multiple-choice answer becomes an integer, a retrieval answer a list of integers, an entity answer a list of
    texts. An answer of any other form is returned unchanged.
    """
    if not isinstance(answer, str):
        return text, answer
    if task_type is TaskType.MULTIPLE_CHOICE:
        text, numbers = _numbers(text, [answer.strip()], first=0)
        return text, numbers[0] if numbers else answer
    if task_type is TaskType.RETRIEVAL:
        text, numbers = _numbers(text, [part.strip() for part in answer.strip("[] ").split(",")], first=1)
        return text, numbers or answer
    if task_type is TaskType.NAMED_ENTITY_RECOGNITION:
        return text, [part.strip() for part in answer.split(",") if part.strip()]
    return text, answer


def _with_numbered_lines(text: str) -> str:
    """Return a text with its lines of options A, B, ... numbered from 0; a numbered list stays as it is."""
    markers = _lettered(text, _AT_LINE_START)
    return _renumbered(text, markers, 0) if markers and read_numbered_list(text) is None else text


def _numbers(text: str, parts: Sequence[str], first: int) -> tuple[str, list[int]]:
    """Return the text and the numbers of answers like "2", "(B)" or "B: red"; no numbers if one cannot be read.

    Lettered options are numbered from `first`.
    """
    written = [_NUMBER.fullmatch(part) for part in parts]
    if all(written):
        return text, [int(match[1]) for match in written if match]
    letters = [match[1] for part in parts if (match := _LETTER.fullmatch(part))]
    if len(letters) < len(parts):
        return text, []
    indices = [ord(letter) - ord("A") for letter in letters]
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
    """Return the markers of the options A, B, ...; none if there are fewer than two."""
    markers: list[re.Match[str]] = []
    for match in style.finditer(text):
        if ord(match[1]) - ord("A") == len(markers):
            markers.append(match)
    return markers if len(markers) >= _FEWEST else []


def _renumbered(text: str, markers: Sequence[re.Match[str]], first: int) -> str:
    """Return the text with its lettered options as lines that are numbered from `first`."""
    for index, marker in reversed(list(enumerate(markers, start=first))):
        before = text[: marker.start()].rstrip(" \t,;")
        newline = "" if not before or before.endswith("\n") else "\n"
        text = f"{before}{newline}{index}. {text[marker.end() :]}"
    return text
