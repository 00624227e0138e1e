"""Normalises quantities in product texts: "57 g", "57g" and "57 grams" become the same word."""

import re
from collections.abc import Mapping

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
