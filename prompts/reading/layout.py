"""Lays out questions that are written as JSON, with tags or in Markdown as labelled lines and numbered lists."""

import json
import re
from collections.abc import Iterator

_TAGGED = re.compile(r"^[ \t]*<([A-Za-z][\w -]{0,30})>[ \t]*\n?([^<>]{1,6000}?)\s*</\1>[ \t]*$", re.MULTILINE)
_BOLD_LABEL = re.compile(r"^([ \t]*)\*\*([^*:：\n]{1,40})(?:[:：]\*\*|\*\*[:：])", re.MULTILINE)
_FENCED_LINE = re.compile(r'^```\w*[ \t]*\n([^\n"`]{1,1000})\n```[ \t]*$', re.MULTILINE)
_NUMBERED = re.compile(r"\s*[(\[#]?\d{1,3}[.):\]|、]")
_NAME = re.compile(r"[a-z]+(?:_[a-z]+)+")
_LEAST_SHARE = 0.6
_FEWEST_KEYS = 2
_NUMBER_KEYS = ("id", "index", "number", "nr", "no", "n")


def laid_out(text: str) -> str:
    """Return the question with JSON objects, tagged parts, bold labels and a fenced line as plain labelled lines.

    Text that has none of them is returned unchanged.
    """
    text = _without_json(text) if "{" in text else text
    if "```" in text:
        text = _FENCED_LINE.sub(r'"\1"', text)
    if "</" in text:
        text = _TAGGED.sub(lambda match: f"{_words(match[1])}: {match[2]}", text)
    return _BOLD_LABEL.sub(r"\1\2:", text) if "**" in text else text


def _without_json(text: str) -> str:
    """Lay out the first JSON object of a text if it is most of the text, and is not nested too deeply to be written."""
    start = text.index("{")
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
        length = len(text.strip())
        if not isinstance(value, dict) or len(value) < _FEWEST_KEYS or (end - start) < _LEAST_SHARE * length:
            return text
        return text[:start] + "\n".join(_lines(value)) + text[end:]
    except (ValueError, RecursionError):
        return text


def _lines(value: dict[str, object]) -> Iterator[str]:
    for key, content in value.items():
        if isinstance(content, dict | list):
            yield f"{_words(key)}:"
            yield from _entries(content)
        else:
            yield f"{_words(key)}: {_text(content)}"


def _entries(content: dict[str, object] | list[object]) -> Iterator[str]:
    """Yield a line for each entry: with its number, where the key, the text or a field of the entry has one."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield f"{key}. {_text(value)}" if key.isdecimal() else f"{_words(key)}: {_text(value)}"
        return
    for entry in content:
        numbered = _NUMBERED.match(entry) if isinstance(entry, str) else None
        yield _fields(entry) if isinstance(entry, dict) else _text(entry) if numbered else f"- {_text(entry)}"


def _fields(entry: dict[str, object]) -> str:
    """Return the fields of an object in one line, behind its number."""
    number = next((key for key in entry if key.lower() in _NUMBER_KEYS and str(entry[key]).isdecimal()), None)
    rest = ", ".join(_text(value) for key, value in entry.items() if key != number)
    return f"- {rest}" if number is None else f"{entry[number]}. {rest}"


def _text(value: object) -> str:
    """Return a value as text; a name such as "write_description" becomes words."""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return _words(value) if _NAME.fullmatch(value) else value


def _words(name: str) -> str:
    return name.replace("_", " ").strip()
