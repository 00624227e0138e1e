"""Whether a question shares what it is about with questions that must stay unseen, not merely how they are worded."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from tuning.selection.parts import Parts, Words, joined

GRAM = 8
"""So many words in a row are shared content."""
_PIECE = 4
_OWN_WORDS = 4
_WORDING_ROWS = 20
_WORDING_SHARE = 0.02
_FEWEST_ROWS = 3


class UnseenContent:
    """What some questions are about: their 8-grams of words, without the wording of instructions.

    Four words in a row are wording where many rows hold them in their templates: outside of quotations, labelled
    content and candidates. A title, review or query never is, however many rows share it. Candidates are a template's
    where many otherwise different rows have the same ones ("0. irrelevant 1. substitute"). An 8-gram with fewer than
    four words outside of wording does not count: it is an instruction with a word or two of its question at the edge.
    """

    def __init__(self, unseen: Sequence[Parts], rows: Sequence[Parts]) -> None:
        self._wholes = frozenset(parts.words for parts in unseen)
        wording = _wording(self._wholes, {parts.words: parts for parts in (*rows, *unseen)}.values())
        self._content = frozenset(gram for words in self._wholes for gram in _content(words, wording))

    def touches(self, words: Words) -> bool:
        """Tell whether a question is one of these, or shares eight words in a row of what they are about."""
        return words in self._wholes or any(gram in self._content for gram in _grams(words, GRAM))


def _wording(unseen: frozenset[Words], everything: Collection[Parts]) -> frozenset[Words]:
    """Return the pieces of the unseen questions that many of all different questions hold in their templates."""
    many = min(_WORDING_ROWS, max(_FEWEST_ROWS, _WORDING_SHARE * len(everything)))
    pieces = {piece for words in unseen for piece in _grams(words, _PIECE)}
    asked = Counter(options for options, _ in {(_set_of(parts), parts.around) for parts in everything})
    held: Counter[Words] = Counter()
    for parts in everything:
        fixed = asked[_set_of(parts)] > many
        runs = (*parts.template, joined(parts.options)) if fixed else parts.template
        held.update(pieces.intersection(piece for run in runs for piece in _grams(run, _PIECE)))
    return frozenset(piece for piece, count in held.items() if count > many)


def _set_of(parts: Parts) -> frozenset[Words]:
    return frozenset(parts.options)


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
