"""Calibration texts: rows of one length from a file or from the package's own texts."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from evaluation.questions import DEVELOPMENT, read_questions
from tuning.calibration_texts import calibration_rows, calibration_texts, shop_texts

pytestmark = pytest.mark.slow


class Words:
    """A tokenizer that makes a token of every word."""

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [len(word) for word in text.split()]}


def test_texts_are_ordered_by_seed_and_joined_to_rows_of_one_length(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    texts = [{"text": " ".join(["a" * size] * 7)} for size in range(1, 30)]
    path.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    rows = calibration_rows(Words(), calibration_texts(path, 60, seed=1), 5, 12)
    assert [len(row) for row in rows] == [12] * 5
    joined = [token for row in rows for token in row]
    assert [joined[start : start + 7] for start in range(0, 56, 7)] == [
        [joined[start]] * 7 for start in range(0, 56, 7)
    ]
    assert rows == calibration_rows(Words(), calibration_texts(path, 60, seed=1), 5, 12)
    assert rows != calibration_rows(Words(), calibration_texts(path, 60, seed=2), 5, 12)


def test_the_own_texts_are_the_same_for_a_seed() -> None:
    assert shop_texts(50, 1) == shop_texts(50, 1)
    assert shop_texts(50, 1) != shop_texts(50, 2)


@pytest.mark.parametrize("rows", [1, 128])
def test_the_own_texts_fill_any_number_of_rows(tiny_folder: Path, rows: int) -> None:
    texts = calibration_texts(None, rows * 64, 1)
    found = calibration_rows(AutoTokenizer.from_pretrained(tiny_folder), texts, rows, 64)
    assert [len(row) for row in found] == [64] * rows


def test_no_own_text_shares_eight_words_with_an_evaluation_question() -> None:
    asked = {run for question in read_questions(DEVELOPMENT) for run in runs(question.input_field)}
    assert asked
    assert not asked & {run for text in shop_texts(300, 3) for run in runs(text)}


def runs(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[start : start + 8]) for start in range(len(words) - 7)}
