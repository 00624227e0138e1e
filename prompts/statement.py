"""A question without its options, as text that an answer can continue."""

import re

from prompts.languages import NUMBERS
from prompts.reading import NumberedList

_MARKER = re.compile(
    r"\s*(?:answer|output|response|antwort|ausgabe|réponse|sortie|respuesta|salida|risposta|回答|答え|出力)"
    r"(?:\s*\([^()\n]*\))?\s*[:：]?\s*$",
    re.IGNORECASE,
)
_SENTENCE_START = re.compile(r"(?<=[.!?])(?=\s)|(?<=[。！？\n])")


def without_list(listed: NumberedList) -> str:
    """Return the text before and after the list, without an answer marker at the end."""
    return without_marker("\n".join(part for part in (listed.before.strip(), listed.after.strip()) if part))


def without_marker(question: str) -> str:
    """Return the question without markers such as "Output:" at its end: the cue takes their place."""
    shorter = _MARKER.sub("", question).strip()
    return shorter if shorter == question else without_marker(shorter)


def without_form(question: str) -> str:
    """Return the question without the sentences that ask for numbers.

    Candidates that are scored by their texts need no number, and a model that was asked for numbers expects no text.
    """
    return "".join(part for part in _SENTENCE_START.split(question) if not NUMBERS.search(part)).strip()
