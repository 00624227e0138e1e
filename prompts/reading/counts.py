"""Reads how many answers a question asks for, and the steps of a rating."""

import re
from itertools import islice

from prompts.languages import COUNTERS, EXTRACT, NUMBER_WORDS, SELECT

_NUMBER = r"\d{1,2}|" + "|".join(sorted(map(re.escape, NUMBER_WORDS), key=len, reverse=True))
_COUNT = re.compile(rf"(?<![\w.,/-])({_NUMBER})(?![\w%/-]|[.,]\d)", re.IGNORECASE)
_COUNTED = re.compile(rf"([0-9０-９一二三四五六七八九十两]{{1,2}}) ?(?:{COUNTERS})(?!(?:の\w{{0,6}})?(?:から|うち|中))")
_TELLS_A_SIZE = re.compile(
    r"(?:\b(?:of|the|these|those|following|given|contains?|with|from|below|to|and|through|bis|und|den|die|dei|dagli|delle"
    r"|les|des|los|las|parmi|aus|von|entre|de|di|à|al?|os|as|step|product|item|option|query|size|page)\s*|[:#(-]\s*)$",
    re.IGNORECASE,
)
_TELLS_A_LIMIT = re.compile(
    r"\b(?:top|best|up to|at most|exactly|only|bis zu|genau|höchstens|jusqu'à|exactement|hasta|exactamente|fino a"
    r"|esattamente|até)[ -]?$",
    re.IGNORECASE,
)
_COUNTS_ANSWERS = re.compile(
    r"\s*(?:[\w-]+ )?(?:numbers?|integers|digits|ind(?:ices|exes|izes|ici)|índices|nummern?|zahlen|ziffern|numéros"
    r"|chiffres|números|numeri|cifre|nummers|most|best|likel|wichtigst|wahrscheinlich|plus|más|più|mais)\b",
    re.IGNORECASE,
)
_COUNTS_SOMETHING_ELSE = re.compile(
    r"[ -]*(?:[\w-]+ )?(?:keywords?|key ?phrases?|words?|sentences?|paragraphs?|stars?|points?|schlagw"
    r"|schlüssel|wört|wort|sätze?|stern|mots?\b|phrases? clés?|étoile|palabras?|frases?|estrella|parol|frasi"
    r"|stell|語|文)"
    r"|[ -]*phrase\b",
    re.IGNORECASE,
)
_ENDS_NO_COUNT = re.compile(
    r"(?:\b(?:to|from|of the|separat\w+|between|every|each|zwischen|tra|fra)|[-–])\s*$", re.IGNORECASE
)
_CHOSEN = re.compile(
    r"(\w+)(?:\s+(?:mir|uns|me|us|nous|moi|mi|ci|nos))?\s+(?:the|those|die|les|los|las|i|gli|le|os|as)\s+$",
    re.IGNORECASE,
)
_REACH = 60
_MOST_NUMBERS = 200
_RANGE_JOINTS = r"to|through|and|bis|und|à|a|al|et|y|e|ed|até|tot|en|から|到|至|~|〜|～|-|–|—"
_STEP = rf"(\d{{1,2}}|{'|'.join(word for word in NUMBER_WORDS if word.isalpha())})"
_RANGE = re.compile(
    rf"(?<![^\Wぁ-ヿ一-鿿])(?<![.,]){_STEP}(?:[ -]?(?:stars?|sterne?n?|étoiles?|estrellas?|stell[ae]|星))?"
    rf"(?: ?[(（][^()（）\n]{{0,40}}[)）])?\s*(?:{_RANGE_JOINTS})\s*{_STEP}(?![^\Wぁ-ヿ一-鿿]|%|[.,]\d)",
    re.IGNORECASE,
)
_TOP_OF_STARS = re.compile(
    rf"(?:out of|von|sur|de|su|tot)? ?{_STEP}[ -]?(?:stars?\b|sterne|étoiles|estrellas|stelle|つ星)", re.IGNORECASE
)
_NO_RATING = re.compile(r"permutation|number(?:s|ed)? (?:from )?$", re.IGNORECASE)
_HIGHEST_STEP = 10


def count_in(words: str) -> int | None:
    """Return how many candidates a question's own `words` ask for; None where they name no count."""
    counted = _COUNTED.search(words)
    if counted and _value(counted[1]):
        return _value(counted[1])
    weighed = [(_weight(words, match), _value(match[1])) for match in islice(_COUNT.finditer(words), _MOST_NUMBERS)]
    best = max((weight for weight, value in weighed if value), default=0)
    return next((value for weight, value in weighed if value and weight == best), None) if best else None


def _weight(words: str, count: re.Match[str]) -> int:
    """Return how likely a number is the count: of answers (3), after a verb of choice (2), "pick the three" (1), 0."""
    before = words[max(0, count.start() - _REACH) : count.start()]
    sentence = re.split(r"[.!?。\n]\s", before)[-1]
    is_limit = _TELLS_A_LIMIT.search(before)
    if (_ENDS_NO_COUNT.search(before) and not is_limit) or _COUNTS_SOMETHING_ELSE.match(words, count.end()):
        return 0
    if _COUNTS_ANSWERS.match(words, count.end()):
        return 3
    chosen = _CHOSEN.search(before)
    verb = chosen[1] + " " if chosen else ""
    if SELECT.search(verb) or EXTRACT.search(verb):
        return 1
    if _TELLS_A_SIZE.search(before) and not is_limit:
        return 0
    return 2 if SELECT.search(sentence) or is_limit else 0


def _value(text: str) -> int | None:
    """Return the value of digits or of a number word; None for zero and for other words."""
    return int(text) or None if text.isdecimal() else NUMBER_WORDS.get(text.lower())


def rating_range_in(words: str, text: str) -> tuple[int, int] | None:
    """Return the lowest and the highest step of the rating that a question asks for; None where it asks for none.

    `words` are the question's own words, which count before the rest of its text.
    """
    for searched in (words, text):
        found = (_steps(searched, match) for match in _RANGE.finditer(searched))
        steps = next((pair for pair in found if pair), None)
        if steps:
            return steps
    top = _TOP_OF_STARS.search(words)
    highest = _value(top[1]) if top else None
    return (1, highest) if highest and 1 < highest <= _HIGHEST_STEP else None


def _steps(text: str, match: re.Match[str]) -> tuple[int, int] | None:
    if _NO_RATING.search(text[max(0, match.start() - 25) : match.start()]):
        return None
    lowest = 0 if match[1].isdecimal() and int(match[1]) == 0 else _value(match[1])
    highest = _value(match[2])
    if lowest is None or highest is None or lowest > 1 or not lowest < highest <= _HIGHEST_STEP:
        return None
    return lowest, highest
