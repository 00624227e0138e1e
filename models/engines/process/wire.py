"""Sends prompts and answers as JSON between the package and the process of its engine."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from multiprocessing.connection import Connection
from typing import Any

from models.engines.interface import Answer
from prompts.prompt import Choice, Prompt, Selection, Spans, Text

Json = dict[str, Any]

_READ_BY_ENGINES = (
    "system", "user", "fallback", "bare", "cue", "neutral_cue", "neutral_share", "as_statement", "adapter",
)  # fmt: skip

_SPACES: Mapping[str, type[Any]] = {kind.__name__: kind for kind in (Choice, Selection, Spans, Text)}


def send(link: Connection, message: Json) -> None:
    """Write one message.

    Raises:
        OSError: the other process no longer reads.
    """
    link.send_bytes(json.dumps(message).encode("ascii"))


def receive(link: Connection) -> Json:
    """Wait for one message.

    Raises:
        EOFError: the other side is gone.
        OSError: the message breaks off.
        ValueError: it is no JSON object.
    """
    message = json.loads(link.recv_bytes())
    if not isinstance(message, dict):
        raise ValueError("a message between the package and its engine is a JSON object")
    return message


def prompt_to_json(prompt: Prompt) -> Json:
    """Return the fields that an engine reads as plain data; the answer space keeps its name."""
    fields_read = {name: getattr(prompt, name) for name in _READ_BY_ENGINES}
    return {**fields_read, "space": {"kind": type(prompt.space).__name__, **asdict(prompt.space)}}


def prompt_from_json(data: Json) -> Prompt:
    """Return the prompt of `prompt_to_json`, without its evidence, which no engine reads."""
    space = dict(data["space"])
    kind = _SPACES[space.pop("kind")]
    return Prompt(**{**data, "space": kind(**_with_tuples(space))})


def answer_to_json(answer: object) -> list[Any] | None:
    """Return an answer as plain data; None for a value that is no answer."""
    if not isinstance(answer, Answer) or not isinstance(answer.text, str):
        return None
    try:
        return [answer.text, [float(score) for score in answer.scores]]
    except (TypeError, ValueError):
        return None


def answer_from_json(data: object) -> Answer | None:
    """Return the answer that `answer_to_json` made `data` of."""
    return Answer(data[0], tuple(data[1])) if isinstance(data, list) else None


def fields_from_json(kind: type[Any], data: Mapping[str, Any]) -> Any:
    """Return a dataclass of plain fields from its `asdict`."""
    return kind(**{field.name: data[field.name] for field in fields(kind)})


def _with_tuples(data: Mapping[str, Any]) -> Json:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
