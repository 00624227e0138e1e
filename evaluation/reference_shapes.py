"""What `output_field` must look like for each kind of metric."""

from collections.abc import Callable
from dataclasses import dataclass

# 2^w of a larger gain is no finite float.
MAX_WEIGHT = 1000


@dataclass(frozen=True)
class Shape:
    """A test of a JSON value, and in words what passes it."""

    words: str
    fits: Callable[[object], bool]


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_WEIGHT


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _list_of(fits: Callable[[object], bool], at_least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and len(value) >= at_least and all(map(fits, value))


_are_texts = _list_of(_is_text, at_least=1)

NUMBER = Shape("an integer", _is_integer)
NUMBERS = Shape("a list of at least one integer", _list_of(_is_integer, at_least=1))
WEIGHTS = Shape(f"a list of at least one number from 0 to {MAX_WEIGHT}", _list_of(_is_weight, at_least=1))
PHRASES = Shape("a list of strings", _list_of(_is_text, at_least=0))
TEXT = Shape("a string", _is_text)
TEXTS = Shape("a string or a list of at least one string", lambda value: _is_text(value) or _are_texts(value))
