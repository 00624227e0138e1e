"""Words for lexical retrieval, in every language of the challenge."""

import re
import unicodedata

_CJK = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:[.\-/][^\W_{_CJK}]+)*")


def words(text: str) -> list[str]:
    """Return folded words: lower case, compatibility forms unified, plural s dropped, Japanese in pairs of characters.

    Model numbers and decimals stay whole and are also given in parts, so that "xt-30" meets both "xt-30" and "xt 30".
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    return [word for match in _WORD.finditer(folded) for word in _forms(match[0])]


def _forms(word: str) -> list[str]:
    if "\u3040" <= word[0] <= "\u9fff":
        return [word[i : i + 2] for i in range(len(word) - 1)] or [word]
    parts = re.split(r"[.\-/]", word)
    return [_singular(word)] + ([_singular(part) for part in parts] if len(parts) > 1 else [])


def _singular(word: str) -> str:
    plural = len(word) > 3 and word.endswith("s") and not word.endswith("ss")
    return word[:-1] if plural else word
