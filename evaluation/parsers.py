"""The evaluator's parsers of answers: one rule for each task type, none of which raises.

The rules are the official ones, including their oddities. A more lenient parser would read some answers that these
rules lose.
"""

import ast
import warnings
from collections.abc import Callable, Iterator, Mapping

from utilities.task_type import TaskType

Parsed = int | list[int] | list[str] | str

MAX_CHARACTERS = 5000
NO_CHOICE = -1
RANKED_ITEMS = 5
RETRIEVED_ITEMS = 3

# `ast.literal_eval` documents the first five; it raises OverflowError for the sum of a huge integer and an imaginary
# number, and an older CPython raises SystemError when it loses count of its recursion depth.
_NOT_A_LITERAL = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError, SystemError)


def parse(task_type: TaskType, answer: str) -> Parsed:
    """Read `answer` as the evaluator does; only its first 5,000 characters count.

    Returns:
        Multiple choice: the option number, -1 if the first non-blank character is not a digit.
        Ranking: up to five item numbers, empty after a repetition. Retrieval: up to three item numbers.
        Named entity recognition: the phrases. Generation: the stripped text.
    """
    return _RULES[task_type](answer[:MAX_CHARACTERS])


def _choice(answer: str) -> int:
    """Read the first non-blank character; `int` accepts decimal digits of every script, but not '²' or '①'."""
    try:
        return int(answer.strip()[:1])
    except ValueError:
        return NO_CHOICE


def _ranking(answer: str) -> list[int]:
    """Drop numbers over five and keep the first five others; a repetition among these empties the list."""
    ranked = [number for number in _numbers(answer) if number <= RANKED_ITEMS][:RANKED_ITEMS]
    return ranked if len(set(ranked)) == len(ranked) else []


def _retrieval(answer: str) -> list[int]:
    return list(_numbers(answer))[:RETRIEVED_ITEMS]


def _numbers(answer: str) -> Iterator[int]:
    """Delete all but numeric characters, commas and spaces; yield the integers between the commas.

    A field that is not an integer is skipped: "1 2", one with '½', one with more digits than `int` accepts.
    """
    kept = "".join(character for character in answer if character.isnumeric() or character in ", ")
    for field in kept.split(","):
        try:
            yield int(field)
        except ValueError:
            continue


def _phrases(answer: str) -> list[str]:
    """Read a Python list of strings literally; split anything else at commas and drop blanks."""
    literal = _literal(answer)
    if isinstance(literal, list) and all(isinstance(phrase, str) for phrase in literal):
        return literal
    return [phrase.strip() for phrase in answer.split(",") if phrase.strip()]


def _literal(answer: str) -> object:
    """Return the Python literal that `answer` spells, or None; no code is run."""
    with warnings.catch_warnings():
        # The compiler warns about phrases like "5in" or "\d"; the warning would not help the reader of a score.
        warnings.simplefilter("ignore")
        try:
            return ast.literal_eval(answer)
        except _NOT_A_LITERAL:
            return None


_RULES: Mapping[TaskType, Callable[[str], Parsed]] = {
    TaskType.MULTIPLE_CHOICE: _choice,
    TaskType.RETRIEVAL: _retrieval,
    TaskType.RANKING: _ranking,
    TaskType.NAMED_ENTITY_RECOGNITION: _phrases,
    TaskType.GENERATION: str.strip,
}
