"""Exclusion lists: the parts of evaluation questions that must stay out of a catalogue, as JSON Lines.

A line with the name and the SHA-256 of an evaluation file is followed by one line for each of its questions.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from utilities.errors import UserError
from utilities.tables import read_rows
from utilities.typed_yaml import Positive, build, checked

_COMMAND = "python -m evaluation.exclusions"


@checked
class EvaluationFile:
    """An evaluation file by its name without the folder, the SHA-256 of its bytes, and its number of questions."""

    file: str
    sha256: str
    questions: Positive

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 is {self.sha256!r}; it must be 64 hexadecimal digits in lower case")


@checked
class QuestionParts:
    """The parts of a question that may occur in a catalogue.

    Attributes:
        texts: the question and its reference answers.
        items: the items of its numbered list.
        queries: its search query, and the lines of its session.
    """

    texts: tuple[str, ...]
    items: tuple[str, ...]
    queries: tuple[str, ...]


@dataclass(frozen=True)
class Exclusions:
    """An evaluation file and the parts of its questions."""

    source: EvaluationFile
    questions: list[QuestionParts]


def read_exclusion_list(path: Path) -> list[Exclusions]:
    """Read the evaluation files of an exclusion list.

    Raises:
        UserError: the file cannot be read, holds questions instead of an exclusion list, lacks a line, or has one with
            an unknown field, a missing field or a value of the wrong type.
    """
    found: list[Exclusions] = []
    for place, row, *_ in read_rows(path):
        if "input_field" in row:
            raise UserError(
                f"{place} is a question, and --exclude takes an exclusion list: first run "
                f"`{_COMMAND} {path} --output exclusions.jsonl`, then give --exclude exclusions.jsonl"
            )
        if "file" in row:
            found.append(Exclusions(build(EvaluationFile, row, f"{place}: ", "field"), []))
        elif found:
            found[-1].questions.append(build(QuestionParts, row, f"{place}: ", "field"))
        else:
            raise UserError(f"{place}: the first line must name an evaluation file: write the list with `{_COMMAND}`")
    _check_complete(path, found)
    return found


def _check_complete(path: Path, found: list[Exclusions]) -> None:
    if not found:
        raise UserError(f"{path} names no evaluation file: write the list with `{_COMMAND}`")
    for each in found:
        if len(each.questions) != each.source.questions:
            raise UserError(
                f"{path} has {len(each.questions)} of the {each.source.questions} questions of {each.source.file}: "
                f"write the list again with `{_COMMAND}`"
            )
