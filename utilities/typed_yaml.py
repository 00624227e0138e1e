"""Reads YAML files into frozen dataclasses, which pydantic checks; every error is one sentence."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, dataclass_transform, get_args, get_type_hints

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic.dataclasses import is_pydantic_dataclass

from utilities.errors import UserError

T = TypeVar("T")
Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
"""Annotations of fields: whole numbers from 0 and from 1, numbers from 0, and a share between 0 and 1."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader; the one in C, where it is installed, is nine times faster."""
_DEEPEST = 50
_KEY_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")
_CONFIG = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
_KINDS: Mapping[str, str] = {
    "bool_type": "it must be true or false",
    "int_type": "it must be a whole number",
    "float_type": "it must be a number",
    "string_type": "it must be a text",
    "tuple_type": "it must be a list",
    "dict_type": "it must be a block of names and values",
    "pattern_regex": "it must be a regular expression",
    "finite_number": "it must be a finite number",
    "greater_than_equal": "it must be at least {ge}",
    "greater_than": "it must be greater than {gt}",
    "less_than_equal": "it must be at most {le}",
    "less_than": "it must be less than {lt}",
    "literal_error": "choose one of: {expected}",
}
"""pydantic's type of an error -> the end of the sentence about the value."""


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def checked(kind: type[T]) -> type[T]:
    """Make a class a frozen dataclass whose values must have the types and lie in the bounds of their annotations.

    Any other value raises pydantic's `ValidationError`, a ValueError, which `build` turns into one sentence.
    """
    return pydantic_dataclass(kind, frozen=True, config=_CONFIG)  # type: ignore[return-value]


def read_mapping(path: Path, subject: str, remedy: str) -> dict[str, Any]:
    """Return the names and values of a YAML file, none for an empty file.

    In an error, `subject` names the content ("the settings"), and `remedy` ends the message for an unreadable file.

    Raises:
        UserError: the file cannot be read, is not YAML, does not hold names and values, has a key twice or a key
            that is no text, contains itself, or is nested too deep.
    """
    try:
        text = path.read_text(encoding="utf-8")
        _check_nesting(text)
        content = yaml.load(text, Loader=_LOADER)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {subject} cannot be read ({error}); {remedy}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}; correct the file") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    if not isinstance(content, dict | None):
        raise UserError(f"{path}: {subject} are pairs of names and values, not a {type(content).__name__}")
    return content or {}


def _check_nesting(text: str) -> None:
    """Check the keys and the depth of a YAML text, before any of its values is built.

    Raises:
        ValueError: a key is no text or occurs twice, a block contains itself, or the blocks are nested too deep.
    """
    starts = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
    open_anchors: list[str | None] = []
    for event in yaml.parse(text, Loader=_LOADER):
        line = _line(event)
        if isinstance(event, starts):
            open_anchors.append(event.anchor)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            open_anchors.pop()
        elif isinstance(event, yaml.AliasEvent) and event.anchor in open_anchors:
            raise ValueError(f"line {line}: the block {event.anchor} contains itself; write it out")
        if len(open_anchors) > _DEEPEST:
            raise ValueError(f"line {line}: blocks are nested deeper than {_DEEPEST} levels; make it flatter")
    _check_keys(yaml.compose(text, Loader=_LOADER), set())


def _check_keys(node: yaml.Node | None, seen: set[int]) -> None:
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            _check_keys(each, seen)
    elif isinstance(node, yaml.MappingNode):
        names = set[str]()
        for key, value in node.value:
            line = _line(key)
            if key.tag not in _KEY_TAGS:
                raise ValueError(f"line {line}: the key {_shown(key)} is no text; write it in quotes")
            if key.value in names:
                raise ValueError(f"line {line}: the key {key.value} occurs twice; keep one of them")
            names.add(key.value)
            _check_keys(value, seen)


def _line(part: yaml.Node | yaml.Event) -> int:
    assert part.start_mark
    return part.start_mark.line + 1


def _shown(key: yaml.Node) -> str:
    return key.value if isinstance(key, yaml.ScalarNode) else "of several values"


def build(kind: type[T], values: Mapping[str, Any], where: str, noun: str = "setting") -> T:
    """Build a dataclass from the plain values of YAML or JSON; lists become tuples.

    In an error, `where` precedes the name of a field, and `noun` names the kind of field.

    Raises:
        UserError: a key is unknown or missing, or a value has the wrong type or lies outside its bounds.
    """
    assert is_pydantic_dataclass(kind), f"{kind.__name__} is not checked: unknown keys would pass"
    try:
        # In JSON mode pydantic takes a list for a tuple and still no text for a number. A date of YAML becomes a block,
        # which fits no plain field.
        text = json.dumps(values, default=lambda value: {type(value).__name__: str(value)})
        return cast(T, TypeAdapter(kind).validate_json(text, strict=True))
    except ValidationError as error:
        raise UserError(f"{where}{_sentence(kind, error.errors(), noun)}") from None


def _sentence(kind: type[Any], errors: Sequence[Mapping[str, Any]], noun: str) -> str:
    """Describe an unknown key, else the first error; unknown and missing keys of one block are named together."""
    first = next((each for each in errors if each["type"] in _UNKNOWN), errors[0])
    block = first["loc"][:-1]
    names = ", ".join(
        _name(each["loc"]) for each in errors if each["type"] == first["type"] and each["loc"][:-1] == block
    )
    if first["type"] in _UNKNOWN:
        return f"unknown {noun} {names}; known ones: {', '.join(get_type_hints(_inner(kind, block)))}"
    if first["type"].startswith("missing"):
        return f"{names}: not given; add a line for each"
    return _of_value(first, noun)


def _of_value(error: Mapping[str, Any], noun: str) -> str:
    name, context = _name(error["loc"]), error.get("ctx", {})
    if error["type"] == "value_error":
        return ".".join(filter(None, (name, str(context["error"]))))
    if error["type"].startswith("dataclass"):
        return f"{name} is {error['input']!r}; it should be a mapping of {noun}s to values"
    if error["type"] == "literal_error":
        context = {"expected": context["expected"].replace("'", "").replace(" or ", ", ")}
    said = _KINDS.get(error["type"], error["msg"]).format(**context)
    return f"{name} is {error['input']!r}; {said}"


def _name(place: Sequence[int | str]) -> str:
    """Return the name of a field as a person writes it: `engine.adapters[0]`."""
    parts = (part for part in place if part != "[key]")  # pydantic's mark of an error in a name, not in its value
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _inner(kind: Any, place: Sequence[int | str]) -> Any:
    """Return the dataclass that stands at a place inside `kind`."""
    for part in place:
        if isinstance(part, str) and dataclasses.is_dataclass(kind):
            kind = get_type_hints(kind)[part]
        inside = [each for each in get_args(kind) if dataclasses.is_dataclass(each)]
        kind = inside[0] if inside else kind
    return kind
