"""Words as the leak guard compares them: more spellings count as the same than in a search."""

import html
import re
import unicodedata

from retrieval.words import words

_VOICING = "\u3099\u309a"
_DASHES = re.compile("[\u2010-\u2015\u2212]")
# Between digits a dot or a slash is part of a number; so is the hyphen before a fraction ("1-1/2").
_JOINT = re.compile(r"(?<=[^\W\d_])[.\-/]|[.\-/](?=[^\W\d_])|(?<=\d)-(?=\d+(?![\d/]))")


def strict_words(text: str, stemming: str) -> list[str]:
    """Return folded words: entities of HTML read, accents dropped, joined words by their parts only.

    `retrieval.words.words` does the rest. The whole of a joined word, which it gives beside the parts, would break a
    run of words: "garden-hose" and "garden hose" are the same two words here.
    """
    plain = _DASHES.sub("-", _without_accents(html.unescape(text)))
    return words(_JOINT.sub(" ", plain), stemming)


def _without_accents(text: str) -> str:
    """Drop combining marks, but those that tell kana apart.

    Compatibility forms are left to `words`, which must see a fraction's sign before it becomes digits.
    """
    if text.isascii():
        return text
    marks = unicodedata.normalize("NFD", text)
    kept = "".join(sign for sign in marks if sign in _VOICING or not unicodedata.combining(sign))
    return unicodedata.normalize("NFC", kept)
