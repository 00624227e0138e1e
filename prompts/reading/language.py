"""Reads the target language of a translation question."""

import re

from prompts.languages import LANGUAGE_NAMES, SHOP, TRANSLATE


def _bounded(name: str) -> str:
    return rf"\b{name}\b" if name[0] < "Ā" else name


_NAMES = re.compile(
    "|".join(
        f"(?P<{code}>{'|'.join(_bounded(name) for name in names.split('|'))})" for code, names in LANGUAGE_NAMES.items()
    ),
    re.IGNORECASE,
)
_TO = re.compile(
    r"\b(?:into|to|ins?|im|auf|nach|en|à l'|al|all'|in lingua|para(?: o)?|em|naar het|in het)(?: an?(?:\(n\))?)?\s*$",
    re.IGNORECASE,
)
_FROM = re.compile(
    r"\b(?:from(?: the)?|aus dem|vom|von|du|de l'|del|dal|dall'|do|uit het"
    r"|this|the following|diese[nrs]?|folgenden?|ce|cet|cette|este|esta|questo|questa)\s*$",
    re.IGNORECASE,
)
_TO_BEHIND = re.compile("へ|に|で|版|成")
_FROM_BEHIND = re.compile("から")


def target_language_in(words: str) -> str | None:
    """Return the ISO 639-1 code of the language that a question's own `words` ask to translate into; None without one.

    A language that the text is in, or that is merely mentioned, is no target.
    """
    mentions = list(_NAMES.finditer(words))
    translates = bool(TRANSLATE.search(words))
    if not mentions or not (translates or _names_a_shop(words, mentions)):
        return None
    weighed = [(_weight(words, mention), mention.start(), mention.lastgroup) for mention in mentions]
    weight, _, code = max(weighed, key=lambda entry: entry[:2])
    return code if weight > 0 else None


def _names_a_shop(words: str, mentions: list[re.Match[str]]) -> bool:
    """Return whether a shop or a title is mentioned next to the name of a language."""
    return any(
        SHOP.search(words[mention.end() : mention.end() + 30])
        or SHOP.search(words[max(0, mention.start() - 30) : mention.start()])
        for mention in mentions
    )


def _weight(words: str, mention: re.Match[str]) -> int:
    """Return how likely a mention is the target: behind "into" (3), as an adjective (1), behind "from" (0)."""
    before = words[max(0, mention.start() - 20) : mention.start()]
    if _FROM.search(before) or _FROM_BEHIND.match(words, mention.end()):
        return 0
    return 3 if _TO.search(before) or _TO_BEHIND.match(words, mention.end()) else 1
