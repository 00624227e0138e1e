"""Sections of a prompt: their marks, and the question without its list and its answer marker."""

import re

from prompts.languages import NUMBERS
from prompts.prompt import Prompt
from prompts.reading import NumberedList, read_numbered_list

EXAMPLE = "[Example]"
QUESTION = "[Question]"
THOUGHT = "[Chain of Thought]"
ANSWER = "[Answer]"

_ROUND = str.maketrans("[]", "()")


def without_marks(text: str) -> str:
    """Return the text with round brackets for square ones, so that it contains no section mark."""
    return text.translate(_ROUND)


def keeps_list(prompt: Prompt, user: str, begins: int) -> bool:
    """Return whether the list that is read back from `user` is the question's own; the question begins at `begins`.

    Candidates are reordered by reading their list back. An earlier list with the same texts would be reordered instead.
    A list that cannot be read back does no harm: the candidates keep their order.
    """
    texts = getattr(prompt.space, "texts", ())
    own, found = read_numbered_list(prompt.user), read_numbered_list(user)
    if not texts or found is None or tuple(item.text for item in found.items) != texts:
        return True
    return own is not None and len(found.before) == begins + len(own.before)


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
