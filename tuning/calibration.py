"""Calibration rows: the texts whose activations tell AWQ which weights matter."""

import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuning.shop_texts import shop_texts
from utilities.errors import UserError
from utilities.questions import json_lines

DEVELOPMENT = Path(__file__).resolve().parent.parent / "data" / "development.json"
_FEWEST_TOKENS = 10  # gptqmodel leaves out shorter rows
_FIELDS = ("text", "input_field")


def calibration_rows(tokenizer: Any, path: Path | None, rows: int, max_tokens: int, seed: int) -> list[list[int]]:
    """Return `rows` token lists of at most `max_tokens`, drawn from the file, else from this package's own texts.

    Raises:
        UserError: the file cannot be read, holds too few texts of ten tokens or more, or is what scores are taken on.
    """
    texts = shop_texts(rows, seed) if path is None else _drawn(_read(path), seed)
    encoded = (tokenizer(text, truncation=True, max_length=max_tokens)["input_ids"] for text in texts)
    usable = [list(tokens) for tokens in encoded if len(tokens) >= _FEWEST_TOKENS][:rows]
    if len(usable) < rows:
        raise UserError(
            f"{path or 'the own texts'}: {len(usable)} texts have {_FEWEST_TOKENS} tokens or more and {rows} are asked "
            "for: add texts or lower --rows"
        )
    return usable


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
