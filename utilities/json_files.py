"""Reads JSON files of names and values; every error is one sentence with the file."""

import json
from pathlib import Path
from typing import Any

from utilities.errors import UserError


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """Return the names and values of a JSON file.

    Raises:
        UserError: the file cannot be read or holds no JSON object; the message ends with `remedy`.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be read ({reason}): {remedy}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not names and values: {remedy}")
    return content
