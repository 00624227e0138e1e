"""Features of a question's wording: hashed n-grams of its characters and words, in blocks of equal length."""

import re
import unicodedata
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from prompts.reading import Question

BUCKETS = 1 << 15
"""Buckets of one block."""
BLOCKS = {"characters": 1.0, "words": 0.7, "own words": 0.7, "beginning": 0.5, "end": 0.5}
"""Each block's name and the length of its vector."""
_LONGEST = 4_000  # characters; of a longer text both ends count, because they carry the task
_END = 160
_CHARACTERS = (1, 2, 3, 4, 5)
_DIGIT = re.compile(r"\d")
_SPACES = re.compile(r"[^\S\n]+")
_BREAK = re.compile(r"\n\s*")
_TOKEN = re.compile(r"\w+|[^\w\s]|\n")
_PRIME = np.uint32(16777619)
_SPREAD = np.uint32(2654435761)

Hashes = NDArray[np.uint32]


class Counts(NamedTuple):
    """The buckets of one block that a text fills, in ascending order, and 1 plus the logarithm of how often."""

    buckets: NDArray[np.intp]
    counts: NDArray[np.float32]


def counted(question: Question) -> list[Counts]:
    """Return the filled buckets of each block, in the order of `BLOCKS`."""
    text = _plain(question.text)
    own = _plain(question.words)
    hashes = (
        _of_characters(text),
        _of_words(text),
        _of_words(own),
        _of_characters(text[:_END]),
        _of_characters(text[-_END:]),
    )
    return [_counts(each) for each in hashes]


def _plain(text: str) -> str:
    """Return the text without capitals, with 0 for each digit, one space for several, and both ends of a long one."""
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n{text[-_LONGEST // 2 :]}"
    text = _DIGIT.sub("0", unicodedata.normalize("NFKC", text).lower())
    text = f"\n{_BREAK.sub(chr(10), _SPACES.sub(' ', text)).strip()}\n"
    return text if len(text) <= _LONGEST else text[: _LONGEST // 2] + text[-_LONGEST // 2 :]


def _of_characters(text: str) -> Hashes:
    """Hash the sequences of one to five characters."""
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), dtype=np.uint32)
    return np.concatenate([_sequences(codes, length) for length in _CHARACTERS])


def _of_words(text: str) -> Hashes:
    """Hash the sequences of one to three words, and the first and last of each three."""
    codes = np.array([crc32(word.encode("utf-8", "replace")) for word in _TOKEN.findall(text)], dtype=np.uint32)
    skipped = _mixed(_mixed(np.full(max(len(codes) - 2, 0), 7, np.uint32), codes[:-2]), codes[2:]) * _SPREAD
    return np.concatenate([*(_sequences(codes, length) for length in (1, 2, 3)), skipped])


def _sequences(codes: Hashes, length: int) -> Hashes:
    count = max(len(codes) - length + 1, 0)
    hashes: Hashes = np.full(count, length * 40503, np.uint32)
    for start in range(length):
        hashes = _mixed(hashes, codes[start : start + count])
    return hashes * _SPREAD


def _mixed(hashes: Hashes, codes: Hashes) -> Hashes:
    hashes = (hashes ^ codes) * _PRIME
    return hashes ^ (hashes >> np.uint32(15))


def _counts(hashes: Hashes) -> Counts:
    buckets, counts = np.unique(hashes >> np.uint32(32 - BUCKETS.bit_length() + 1), return_counts=True)
    return Counts(buckets.astype(np.intp), (1 + np.log(counts)).astype(np.float32))
