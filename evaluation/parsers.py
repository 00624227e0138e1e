"""What the evaluator reads in an answer: one rule a task type, forgiving in odd ways and never raising.

The rules are the official ones, oddities included: an answer that only a kinder parser understands is lost.
"""

import ast
import warnings
from collections.abc import Callable, Iterator, Mapping

from utilities.task_type import TaskType

Prediction = int | list[int] | list[str] | str

MAX_CHARACTERS = 5000
NO_CHOICE = -1
RANKED_ITEMS = 5
RETRIEVED_ITEMS = 3

# What `ast.literal_eval` raises for text: its documented exceptions, OverflowError for the sum of a huge
# integer and an imaginary number, and SystemError where an older CPython loses count of its recursion depth.
_NOT_A_LITERAL = (
    ValueError,
    TypeError,
    SyntaxError,
    MemoryError,
    RecursionError,
    OverflowError,
    SystemError,
)


def parse(task_type: TaskType, answer: str) -> Prediction:
    """Read `answer` as the evaluator does; only its first 5,000 characters count.

    Returns:
        Multiple choice: the option number, -1 when the first non-blank character is no digit.
        Ranking: up to five item numbers, empty after a repetition. Retrieval: up to three item numbers.
        Named entity recognition: the phrases. Generation: the stripped text.
    """
    return _RULES[task_type](answer[:MAX_CHARACTERS])


def _choice(answer: str) -> int:
    """Read the first non-blank character; `int` takes decimal digits of every script, but no '²' or '①'."""
    try:
        return int(answer.strip()[:1])
    except ValueError:
        return NO_CHOICE


def _ranking(answer: str) -> list[int]:
    """Drop numbers over five, keep the first five others; a repetition among these costs the whole list."""
    ranked = [number for number in _numbers(answer) if number <= RANKED_ITEMS][:RANKED_ITEMS]
    return ranked if len(set(ranked)) == len(ranked) else []


def _retrieval(answer: str) -> list[int]:
    return list(_numbers(answer))[:RETRIEVED_ITEMS]


def _numbers(answer: str) -> Iterator[int]:
    """Yield the integers between commas once all but numeric characters, commas and spaces is deleted.

    A field that is no integer then is skipped: "1 2", one with '½', one with more digits than `int` takes.
    """
    kept = "".join(character for character in answer if character.isnumeric() or character in ", ")
    for field in kept.split(","):
        try:
            yield int(field)
        except ValueError:
            continue


def _phrases(answer: str) -> list[str]:
    """Read a Python list of strings as it stands; split anything else at commas and drop blanks."""
    literal = _literal(answer)
    if isinstance(literal, list) and all(isinstance(phrase, str) for phrase in literal):
        return literal
    return [phrase.strip() for phrase in answer.split(",") if phrase.strip()]


def _literal(answer: str) -> object:
    """Return the Python literal that `answer` spells, None when it spells none; no code is run."""
    with warnings.catch_warnings():
        # The compiler warns of phrases such as "5in" or "\d"; to the reader of a score they mean nothing.
        warnings.simplefilter("ignore")
        try:
            return ast.literal_eval(answer)
        except _NOT_A_LITERAL:
            return None


_RULES: Mapping[TaskType, Callable[[str], Prediction]] = {
    TaskType.MULTIPLE_CHOICE: _choice,
    TaskType.RETRIEVAL: _retrieval,
    TaskType.RANKING: _ranking,
    TaskType.NAMED_ENTITY_RECOGNITION: _phrases,
    TaskType.GENERATION: str.strip,
}
