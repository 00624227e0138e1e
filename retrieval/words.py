"""Words for lexical retrieval, in every language of the challenge."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

from retrieval.units import CHAIN, fold_marks, quantities
from utilities.errors import UserError

PLURAL = "plural"
STEMMINGS = ("none", PLURAL, "english", "spanish", "german", "french", "italian")
"""Ways to drop word endings: none, the s of plurals, or the Snowball stemmer of a language."""

CJK = "\u3005\u3040-\u30ff\u3400-\u9fff"
"""Characters of scripts without spaces between words, for a character class of a regular expression."""
_WORD = re.compile(rf"[{CJK}]+|[^\W_{CJK}]+(?:[.\-/][^\W_{CJK}]+)*")


def words(text: str, stemming: str = PLURAL) -> list[str]:
    """Return folded words: lower case, compatibility forms unified, endings dropped, Japanese in pairs of characters.

    A number keeps its unit ("57 g" becomes "57g", "12 x 57 g" becomes "12x57g" and its parts). A model number is
    returned whole and in parts, so that "xt-30" matches both "xt-30" and "xt 30".

    Raises:
        UserError: the stemming is unknown.
    """
    stem = stemmer(stemming)
    # NFKC would join a fraction's sign with the number before it: 1½ would become 11/2.
    spaced = re.sub(r"(?<=\d)(?=[\u00bc-\u00be\u2150-\u215e])", " ", text)
    folded = fold_marks(unicodedata.normalize("NFKC", spaced).lower())
    return [form for word in _pieces(folded) for form in _forms(word, stem)]


@cache
def stemmer(name: str) -> Callable[[str], str]:
    """Return the function that drops the endings of a word.

    Raises:
        UserError: the stemming is unknown.
    """
    if name not in STEMMINGS:
        raise UserError(f"stemming is {name!r}; choose one of: {', '.join(STEMMINGS)}")
    if name == PLURAL:
        return _singular
    if name == "none":
        return str
    import Stemmer

    stem: Callable[[str], str] = Stemmer.Stemmer(name).stemWord
    return stem


def _pieces(folded: str) -> Iterator[str | list[str]]:
    """Yield words, and quantities as lists of normalised words."""
    at = 0
    for chain in CHAIN.finditer(folded):
        yield from (match[0] for match in _WORD.finditer(folded, at, chain.start()))
        yield quantities(chain[0])
        at = chain.end()
    yield from (match[0] for match in _WORD.finditer(folded, at))


def _forms(word: str | list[str], stem: Callable[[str], str]) -> list[str]:
    if isinstance(word, list):
        return word
    if re.match(rf"[{CJK}]", word):
        return ["".join(pair) for pair in pairwise(word)] or [word]
    parts = re.split(r"[.\-/]", word)
    return [_stemmed(word, stem)] + ([_stemmed(part, stem) for part in parts] if len(parts) > 1 else [])


def _stemmed(word: str, stem: Callable[[str], str]) -> str:
    return stem(word) if word.isalpha() else word


def _singular(word: str) -> str:
    plural = len(word) > 3 and word.endswith("s") and not word.endswith("ss")
    return word[:-1] if plural else word
