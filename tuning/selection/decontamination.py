"""Detects questions that share content, not only the wording of instructions, with questions that must stay unseen."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from evaluation.question_sample import grams
from tuning.selection.question_text import Parts, Words, joined

GRAM = 8
"""The number of consecutive words that counts as shared content."""
_PIECE = 4
_OWN_WORDS = 4
_WORDING_ROWS = 20
_WORDING_SHARE = 0.02
_FEWEST_ROWS = 3


class UnseenContent:
    """The content of some questions: their 8-grams of words, without the wording of instructions.

    Four consecutive words are wording if many rows hold them in their templates: outside of quotations, labelled
    content and candidates. A title, review or query never is, however many rows share it. Candidates belong to a
    template if many otherwise different rows have the same ones ("0. irrelevant 1. substitute"). An 8-gram with fewer
    than four words outside of wording does not count: it is an instruction with a word or two of its question at the
    edge.
    """

    def __init__(self, unseen: Sequence[Parts], rows: Sequence[Parts]) -> None:
        self._wholes = frozenset(parts.words for parts in unseen)
        wording = _wording(self._wholes, {parts.words: parts for parts in (*rows, *unseen)}.values())
        self._content = frozenset(gram for words in self._wholes for gram in _content(words, wording))

    def touches(self, words: Words) -> bool:
        """Return whether a question is one of the unseen ones, or shares eight consecutive words of their content."""
        return words in self._wholes or any(gram in self._content for gram in grams(words, GRAM))


def _wording(unseen: frozenset[Words], everything: Collection[Parts]) -> frozenset[Words]:
    """Return the pieces of the unseen questions that many different questions hold in their templates."""
    many = min(_WORDING_ROWS, max(_FEWEST_ROWS, _WORDING_SHARE * len(everything)))
    pieces = {piece for words in unseen for piece in grams(words, _PIECE)}
    asked = Counter(options for options, _ in {(frozenset(parts.options), parts.around) for parts in everything})
    held: Counter[Words] = Counter()
    for parts in everything:
        fixed = asked[frozenset(parts.options)] > many
        runs = (*parts.template, joined(parts.options)) if fixed else parts.template
        held.update(pieces.intersection(piece for run in runs for piece in grams(run, _PIECE)))
    return frozenset(piece for piece, count in held.items() if count > many)


def _content(words: Words, wording: frozenset[Words]) -> Iterator[Words]:
    own = [True] * len(words)
    for start, piece in enumerate(grams(words, _PIECE)):
        if piece in wording:
            own[start : start + _PIECE] = [False] * len(piece)
    for start, gram in enumerate(grams(words, GRAM)):
        if sum(own[start : start + GRAM]) >= min(_OWN_WORDS, len(gram)):
            yield gram
