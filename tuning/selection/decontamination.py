"""Whether a question shares what it is about with questions that must stay unseen, not merely how they are worded."""

from collections import Counter
from collections.abc import Iterator, Sequence

GRAM = 8
"""So many words in a row are shared content."""
_PIECE = 4
_OWN_WORDS = 4
_WORDING_ROWS = 20
_WORDING_SHARE = 0.02
_FEWEST_ROWS = 3

Words = tuple[str, ...]


class UnseenContent:
    """What some questions are about: their 8-grams of words, without the wording of instructions.

    Four words in a row that many rows hold are wording. An 8-gram with fewer than four words outside of wording does
    not count: it is an instruction with a word or two of its question at the edge.
    """

    def __init__(self, unseen: Sequence[Words], rows: Sequence[Words]) -> None:
        self._wholes = frozenset(unseen)
        wording = _wording(self._wholes, rows)
        self._content = frozenset(gram for words in self._wholes for gram in _content(words, wording))

    def touches(self, words: Words) -> bool:
        """Tell whether a question is one of these, or shares eight words in a row of what they are about."""
        return words in self._wholes or any(gram in self._content for gram in _grams(words, GRAM))


def _wording(unseen: frozenset[Words], rows: Sequence[Words]) -> frozenset[Words]:
    """Return the pieces of the unseen questions that many of all different questions hold."""
    pieces = {piece for words in unseen for piece in _grams(words, _PIECE)}
    everything = unseen.union(rows)
    held: Counter[Words] = Counter()
    for words in everything:
        held.update(pieces.intersection(_grams(words, _PIECE)))
    many = min(_WORDING_ROWS, max(_FEWEST_ROWS, _WORDING_SHARE * len(everything)))
    return frozenset(piece for piece, count in held.items() if count > many)


def _content(words: Words, wording: frozenset[Words]) -> Iterator[Words]:
    own = [True] * len(words)
    for start, piece in enumerate(_grams(words, _PIECE)):
        if piece in wording:
            own[start : start + _PIECE] = [False] * len(piece)
    for start, gram in enumerate(_grams(words, GRAM)):
        if sum(own[start : start + GRAM]) >= min(_OWN_WORDS, len(gram)):
            yield gram


def _grams(words: Words, length: int) -> Iterator[Words]:
    """Yield every `length` words in a row; fewer words are one gram."""
    return (words[start : start + length] for start in range(max(1, len(words) - length + 1)))
