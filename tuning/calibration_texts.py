"""Calibration rows: the texts whose activations tell AWQ which weights matter."""

import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.questions import json_lines
from tuning.shop_texts import shop_texts
from utilities.errors import UserError
from utilities.files import ROOT

DEVELOPMENT = ROOT / "data" / "development.json"
_FEWEST_TOKENS = 10  # less than any of the own texts has, whatever the tokenizer
_FIELDS = ("text", "input_field")


def calibration_rows(tokenizer: Any, path: Path | None, rows: int, tokens: int, seed: int) -> list[list[int]]:
    """Return `rows` lists of exactly `tokens` tokens, of the file's texts in random order, else of the package's own.

    Texts are joined and cut, because gptqmodel's search takes rows of one length together and makes little of rows of
    different lengths: with those the outputs of SmolLM2's first layers were twice as far from the dense ones.

    Raises:
        UserError: the file cannot be read, holds too little text, or is what scores are taken on.
    """
    wanted = rows * tokens
    texts = shop_texts(wanted // _FEWEST_TOKENS, seed) if path is None else _drawn(_read(path), seed)
    joined: list[int] = []
    for text in texts:
        joined.extend(tokenizer(text)["input_ids"])
        if len(joined) >= wanted:
            return [joined[start : start + tokens] for start in range(0, wanted, tokens)]
    raise UserError(
        f"{path or 'the own texts'}: {len(joined)} tokens are there and {rows} rows of {tokens} are asked for: "
        "add texts or lower --rows"
    )


def digest(rows: Sequence[Sequence[int]]) -> str:
    """Return what identifies the rows."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _read(path: Path) -> list[str]:
    """Read JSON Lines with a field of `_FIELDS`, or plain text with one text a line."""
    if path.resolve() == DEVELOPMENT:
        raise UserError(f"{path} holds the questions that scores are taken on: calibrate with other texts")
    if path.suffix in (".json", ".jsonl"):
        return [_text_of(path, number, value) for number, value in json_lines(path)]
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the calibration texts cannot be read ({error}): name a file in UTF-8") from error


def _text_of(path: Path, number: int, value: object) -> str:
    if isinstance(value, dict):
        for field in _FIELDS:
            if isinstance(value.get(field), str):
                return str(value[field])
    raise UserError(f"{path}, line {number}: no field {' or '.join(_FIELDS)} with a text: add one")


def _drawn(texts: list[str], seed: int) -> list[str]:
    shuffled = list(texts)
    random.Random(seed).shuffle(shuffled)
    return shuffled
