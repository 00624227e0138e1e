"""Settings changed from a command line: `engine.choice=label`, with the type of the field."""

import dataclasses
from collections.abc import Sequence
from typing import Any, get_type_hints

from models.settings import Settings
from utilities.errors import UserError


def with_overrides(settings: Settings, overrides: Sequence[str]) -> Settings:
    """Return `settings` with each `name=value` put in; names of nested settings are joined by dots.

    Raises:
        UserError: there is no such setting, or the value is not of its type or out of its range.
    """
    for override in overrides:
        name, separator, text = override.partition("=")
        if not separator:
            raise UserError(f"--set {override}: write it as name=value, such as engine.choice=label")
        settings = _replaced(settings, name.strip().split("."), text.strip(), override)
    return settings


def _replaced(settings: Any, path: Sequence[str], text: str, override: str) -> Any:
    first, *rest = path
    hints = get_type_hints(type(settings)) if dataclasses.is_dataclass(settings) else {}
    if first not in hints:
        known = f"; known ones here: {', '.join(hints)}" if hints else ""
        raise UserError(f"--set {override}: unknown setting {first!r}{known}")
    value = getattr(settings, first)
    if rest:
        changed = _replaced(value, rest, text, override)
    elif dataclasses.is_dataclass(value):
        raise UserError(f"--set {override}: {first} is a group; name one of its settings, such as {first}.NAME=VALUE")
    else:
        changed = _parsed(hints[first], text, override)
    return dataclasses.replace(settings, **{first: changed})


def _parsed(kind: type[Any], text: str, override: str) -> Any:
    if kind is bool:
        if text not in ("true", "false"):
            raise UserError(f"--set {override}: write true or false")
        return text == "true"
    if kind is str:
        return text
    try:
        return kind(text)
    except (TypeError, ValueError):
        raise UserError(f"--set {override}: {text!r} is no {getattr(kind, '__name__', kind)}") from None
