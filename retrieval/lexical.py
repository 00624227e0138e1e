"""Splits product texts of all the challenge's languages into normalised words, and computes BM25 scores."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise

from rank_bm25 import BM25Plus

from utilities.errors import UserError

_SPELLINGS: Mapping[str, str] = {
    "in": 'in inch inches "',
    "ft": "ft foot feet '",
    "yd": "yd yard yards",
    "mm": "mm millimeter millimeters millimetre millimetres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "mtr": "meter meters metre metres",
    "oz": "oz ounce ounces",
    "lb": "lb lbs pound pounds",
    "g": "g gr gram grams gramm",
    "kg": "kg kilo kilogram kilograms",
    "mg": "mg milligram milligrams",
    "ml": "ml milliliter milliliters millilitre millilitres",
    "l": "l liter liters litre litres",
    "gal": "gal gallon gallons",
    "qt": "qt quart quarts",
    "w": "w watt watts",
    "v": "v volt volts",
    "amp": "amp amps ampere amperes",
    "mah": "mah",
    "gb": "gb gigabyte gigabytes",
    "tb": "tb terabyte terabytes",
    "hz": "hz hertz",
    "pk": "pk pack packs",
    "pc": "pc pcs piece pieces",
    "ct": "ct count",
}
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings.split()}
# "in" before another number is no unit: 2 in 1.
_NOT_BEFORE_A_NUMBER = {"in": r"(?!\s+\d)"}
_LONGEST_FIRST = sorted(_UNITS, key=len, reverse=True)
_UNIT = "|".join(re.escape(spelling) + _NOT_BEFORE_A_NUMBER.get(spelling, "") for spelling in _LONGEST_FIRST)
# Everything is possessive and bounded, so that the time grows linearly with the text.
_NUMBER = r"\d{1,12}+(?:[.,]\d{1,12}+){0,4}+(?:(?:[-\s]\d{1,4}+)?/\d{1,4}+)?+"
# A unit ends with its word; the marks for inches and feet are no words.
_MEASURE = rf"(?P<number>{_NUMBER})(?:[\s-]?(?P<unit>{_UNIT})(?!\w)\.?)?+"
_ONE = re.compile(_MEASURE)
_ANY = re.sub(r"\?P<\w+>", "?:", _MEASURE)
CHAIN = re.compile(rf"(?<![\w.\-/]){_ANY}(?:\s?[x*/]\s?{_ANY}){{0,5}}+(?![.,/-]?\w)")
"""Numbers with their optional units, several of them joined by x; the text must be folded."""
_MARKS = str.maketrans({"″": '"', "”": '"', "“": '"', "′": "'", "’": "'", "×": "x", "\u2044": "/"})


def fold_marks(text: str) -> str:
    """Return `text` with a single sign each for inches, feet, times and fractions."""
    return text.translate(_MARKS).replace("''", '"')


def quantities(chain: str) -> list[str]:
    """Return the words of a match of `CHAIN`: the whole without blanks, its parts, and its numbers without units.

    >>> quantities("12 x 57 g")
    ['12x57g', '12', '57g', '57']
    """
    parts = [(_number(match["number"]), _UNITS.get(match["unit"] or "", "")) for match in _ONE.finditer(chain)]
    whole = ["x".join(number + unit for number, unit in parts)] if len(parts) > 1 else []
    return whole + [word for number, unit in parts for word in ([number + unit, number] if unit else [number])]


def _number(written: str) -> str:
    """Return a number without thousands separators, with a decimal point, and with a hyphen before its fraction."""
    return re.sub(r",(?=\d{3}(?!\d))", "", re.sub(r"\s", "-", written)).replace(",", ".")


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


def relevance(query: str, candidates: Sequence[str]) -> tuple[float, ...]:
    """Return a BM25 score for each candidate: higher is more relevant, 0 means no word of the query.

    Okapi's idf, log((N - n + 0.5) / (n + 0.5)), is negative for a word that more than half of the N documents contain.
    Most of the five candidates of a query contain its main word, which would then count against them. The idf of BM25+
    (Lv and Zhai, 2011, "Lower-Bounding Term Frequency Normalization"), log((N + 1) / n), is never negative. Its lower
    bound delta is 0 here: it corrects for documents of very different length, and titles are similar in length.
    """
    documents = [words(candidate) for candidate in candidates]
    terms = list(dict.fromkeys(words(query)))
    if not terms or not any(documents):
        return (0.0,) * len(candidates)
    return tuple(float(score) for score in BM25Plus(documents, delta=0).get_scores(terms))


def best_first(scores: Sequence[float]) -> list[int]:
    """Return the indices in the order of their scores, highest first; equal scores keep their order."""
    return sorted(range(len(scores)), key=lambda index: -scores[index])
