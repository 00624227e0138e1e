"""Plain values from YAML as frozen dataclasses: keys are fields, values have their types, errors are one sentence."""

import dataclasses
import math
import types
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from utilities.errors import UserError

T = TypeVar("T")


def read_mapping(path: Path, what: str, remedy: str) -> dict[str, Any]:
    """Return the names and values of a YAML file, none for an empty one.

    `what` names the content for the reader ("the settings"), `remedy` what to do when the file cannot be read.

    Raises:
        UserError: the file cannot be read, is no YAML, or holds something else than names and values.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {what} cannot be read ({error}); {remedy}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}; mend the file") from error
    if not isinstance(content, dict | None):
        raise UserError(f"{path}: {what} are pairs of names and values, not a {type(content).__name__}")
    return content or {}


def build(kind: type[T], values: dict[str, Any], where: str, noun: str = "setting") -> T:
    """Make a dataclass from plain values; `where` is what stands before a field's name in an error.

    Fields may be plain types, literals, nested dataclasses, tuples of any of these, or optional; the entries of a dict
    are not looked into.

    Raises:
        UserError: an unknown key, a value of the wrong type, a number that is none or infinite, a field without default
            that is not given, or a value that the dataclass itself refuses by a ValueError.
    """
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name in _fields(kind)}
    unknown = sorted(str(key) for key in values if key not in hints)
    if unknown:
        raise UserError(f"{where}unknown {noun} {', '.join(unknown)}; known ones: {', '.join(hints)}")
    missing = [name for name, needed in _fields(kind).items() if needed and name not in values]
    if missing:
        raise UserError(f"{where}{', '.join(missing)}: not given; add a line for each")
    arguments = {key: _value(hints[key], value, f"{where}{key}", noun) for key, value in values.items()}
    try:
        return kind(**arguments)
    except ValueError as error:
        raise UserError(f"{where}{error}") from None


def _fields(kind: type[Any]) -> dict[str, bool]:
    """Return the fields' names and whether each has to be given."""
    nothing = dataclasses.MISSING
    fields = dataclasses.fields(kind)
    return {field.name: field.default is nothing and field.default_factory is nothing for field in fields}


def _value(kind: Any, value: Any, where: str, noun: str) -> Any:
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        if not isinstance(value, dict):
            raise UserError(f"{where} holds {noun}s of its own, not {value!r}")
        return build(kind, value, f"{where}.", noun)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _optional(kind, value, where, noun)
    if origin is Literal:
        return _literal(get_args(kind), value, where)
    if origin is tuple:
        return _tuple(get_args(kind), value, where, noun)
    return _plain(origin or kind, value, where)


def _optional(kind: Any, value: Any, where: str, noun: str) -> Any:
    """Return a value of a type that may be absent: `X | None`."""
    (inner,) = (choice for choice in get_args(kind) if choice is not types.NoneType)
    return None if value is None else _value(inner, value, where, noun)


def _literal(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    # True == 1, so the types are compared as well.
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        raise UserError(f"{where} is {value!r}; choose one of: {', '.join(map(str, choices))}")
    return value


def _tuple(kinds: tuple[Any, ...], value: Any, where: str, noun: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise UserError(f"{where} is {value!r}; it must be a list")
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise UserError(f"{where} has {len(value)} values; it must have {len(kinds)}")
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(_value(kind, each, f"{where}[{index}]", noun) for index, (kind, each) in pairs)


def _plain(kind: Any, value: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{where} is {value!r}; it must be a {kind.__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where} is {value!r}; it must be a finite number")
    return value
