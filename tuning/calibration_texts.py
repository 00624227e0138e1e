"""Calibration rows: texts that show AWQ which weights matter, read from a file or generated from word lists.

The generated texts contain no evaluation question.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation.questions import DEVELOPMENT
from utilities.errors import UserError
from utilities.opened_files import text_lines
from utilities.tables import is_table, read_rows

_FEWEST_TOKENS = 10  # fewer than any of the package's own texts has, with any tokenizer
_FIELDS = ("text", "input_field")
_PRODUCTS = (
    ("enamel kettle", "1.5 l", "kitchen"),
    ("hiking backpack", "32 l", "outdoor"),
    ("cordless drill", "18 V", "tools"),
    ("linen curtain", "140 x 245 cm", "home"),
    ("memory foam pillow", "40 x 80 cm", "bedding"),
    ("bicycle lamp", "800 lumen", "cycling"),
    ("wooden train set", "60 pieces", "toys"),
    ("sunscreen for sensitive skin", "SPF 50, 200 ml", "beauty"),
    ("mechanical keyboard", "87 keys", "computers"),
    ("garden hose", "20 m", "garden"),
    ("running shoes", "size 42", "sports"),
    ("cat litter box", "52 x 39 cm", "pets"),
    ("espresso beans", "1 kg", "groceries"),
    ("baby monitor", "300 m range", "baby"),
    ("photo frame", "A4", "decoration"),
    ("car phone holder", "up to 7 inches", "car"),
)
_BRANDS = ("Norvik", "Tamaro", "Ellwood", "Kaskade", "Mirusi", "Petrel & Sons", "Ostara", "Quillon")
_MERITS = ("sturdy", "easy to clean", "quiet", "light", "well packed", "worth its price", "waterproof", "soft")
_FLAWS = ("arrived scratched", "is smaller than it looks", "smells of plastic", "stopped working after two weeks")
_COLOURS = ("black", "olive green", "sky blue", "cream", "dark red", "silver")
_SENTENCES = (
    "Die {noun} ({size}) hält dicht, lässt sich leicht reinigen und kommt in zwei Tagen an.",
    "El producto {noun}, {size}, es resistente y tiene dos años de garantía.",
    "Ce produit ({noun}, {size}) convient aux petits espaces ; la notice est en français.",
    "Il prodotto {noun} ({size}) è leggero, ma il colore è diverso da quello della foto.",
    "この商品（{noun}、{size}）は軽くて丈夫です。二日で届きました。",
    "这款产品（{noun}，{size}）质量很好，包装也很结实。",
)


def calibration_texts(path: Path | None, tokens: int, seed: int) -> list[str]:
    """Return the file's texts in random order, or enough of the package's own texts for this number of tokens.

    Raises:
        UserError: the file cannot be read, or is the development data.
    """
    if path is None:
        return shop_texts(tokens // _FEWEST_TOKENS, seed)
    texts = _read(path)
    random.Random(seed).shuffle(texts)
    return texts


def calibration_rows(
    tokenizer: Any, texts: Sequence[str], rows: int, tokens: int, path: Path | None = None
) -> list[list[int]]:
    """Return `rows` lists of `tokens` tokens from the texts, which come from `path` or are the package's own.

    Texts are joined and cut, because gptqmodel's search uses rows of one length together and rows of different lengths
    badly: with those the outputs of SmolLM2's first layers were twice as far from the dense ones.

    Raises:
        UserError: the texts are too short.
    """
    wanted = rows * tokens
    joined: list[int] = []
    for text in texts:
        joined.extend(tokenizer(text)["input_ids"])
        if len(joined) >= wanted:
            return [joined[start : start + tokens] for start in range(0, wanted, tokens)]
    raise UserError(
        f"{path or 'the own texts'}: {len(joined)} tokens are available, {rows} rows of {tokens} are needed: "
        "add texts or lower --rows"
    )


def _read(path: Path) -> list[str]:
    """Read rows with one of `_FIELDS`, or plain text with a text on each line."""
    if path.resolve() == DEVELOPMENT:
        raise UserError(f"{path} holds the evaluation questions: calibrate with other texts")
    return [_text_of(*found[:2]) for found in read_rows(path)] if is_table(path) else [*text_lines(path)]


def _text_of(place: str, row: Mapping[str, object]) -> str:
    for field in _FIELDS:
        if isinstance(row.get(field), str):
            return str(row[field])
    raise UserError(f"{place}: no field {' or '.join(_FIELDS)} with a text: add one")


def shop_texts(count: int, seed: int) -> list[str]:
    """Return `count` shopping texts of seven kinds; the same texts for the same seed."""
    chance = random.Random(seed)
    kinds = (_choice, _ranking, _retrieval, _entities, _description, _review, _foreign)
    return [f"{kinds[number % len(kinds)](chance)}\n" for number in range(count)]


def _product(chance: random.Random) -> str:
    noun, size, _ = chance.choice(_PRODUCTS)
    return f"{chance.choice(_BRANDS)} {noun}, {chance.choice(_COLOURS)}, {size}"


def _listed(chance: random.Random, count: int) -> str:
    return "\n".join(f"{number}. {_product(chance)}" for number in range(1, count + 1))


def _choice(chance: random.Random) -> str:
    noun, size, shelf = chance.choice(_PRODUCTS)
    shelves = chance.sample(sorted({product[2] for product in _PRODUCTS} - {shelf}), 3)
    options = "\n".join(f"{number}. {name}" for number, name in enumerate([*shelves, shelf]))
    return f"In which department does a shop keep this product: {noun}, {size}?\n{options}\nThe right one is 3."


def _ranking(chance: random.Random) -> str:
    order = ", ".join(map(str, chance.sample(range(1, 6), 5)))
    wish = f"{chance.choice(_COLOURS)} {chance.choice(_PRODUCTS)[0]}"
    return (
        f"A customer types: {wish}. Sort these offers, the closest match first.\n{_listed(chance, 5)}\nOrder: {order}"
    )


def _retrieval(chance: random.Random) -> str:
    three = ", ".join(map(str, chance.sample(range(1, 9), 3)))
    bought = f"Someone bought: {_product(chance)}."
    return f"{bought} Which three of these go with it?\n{_listed(chance, 8)}\nThree that go with it: {three}"


def _entities(chance: random.Random) -> str:
    brand, colour, noun = chance.choice(_BRANDS), chance.choice(_COLOURS), chance.choice(_PRODUCTS)[0]
    return f'The search "{colour} {noun} by {brand} for my sister" names a brand, {brand}, and a colour, {colour}.'


def _description(chance: random.Random) -> str:
    noun, size, shelf = chance.choice(_PRODUCTS)
    merits = ", ".join(chance.sample(_MERITS, 3))
    return (
        f"Describe a product of the department {shelf} for our shop: {chance.choice(_BRANDS)} {noun}.\n"
        f"Meet the {noun} for people who know what they want: {merits}. It measures {size}, comes in "
        f"{chance.choice(_COLOURS)} and {chance.choice(_COLOURS)}, and costs ${chance.randint(5, 240)}.99."
    )


def _review(chance: random.Random) -> str:
    merits = chance.sample(_MERITS, 2)
    stars = chance.randint(1, 5)
    return (
        f"I ordered the {_product(chance)} for my {chance.choice(('office', 'mother', 'new flat', 'holidays'))}. It is "
        f"{merits[0]} and {merits[1]}, but mine {chance.choice(_FLAWS)}. {stars} of 5 stars."
    )


def _foreign(chance: random.Random) -> str:
    noun, size, _ = chance.choice(_PRODUCTS)
    return "\n".join(sentence.format(noun=noun, size=size) for sentence in chance.sample(_SENTENCES, 2))
