"""The phrases of a text that an answer may copy."""

import re
from collections.abc import Sequence

from prompts.prompt import Spans

_WORD = re.compile(r"[゠-ヿー]+|[一-鿿々]+|[ぁ-ゟ]+|[^\s゠-ヿ一-鿿ぁ-ゟ、。「」【】]+")
_CLAUSE_END = re.compile(r"[.!?;:…、。！？]['\"”’)]*$|[、。！？,]")
_EDGES = re.compile(r"^[\s.,;:!?…'\"“”‘’«»()\[\]{}*#|/\\]+|[\s.,;:!?…'\"“”‘’«»()\[\]{}*#|/\\]+$")


def phrases(space: Spans) -> list[str]:
    """Return all phrases of the source that may be answered, in order of appearance, without repetition.

    A phrase is a run of words within one clause, without punctuation at its edges and without a comma, because the
    evaluator splits an answer at commas.
    """
    words = [match.span() for match in _WORD.finditer(space.source)]
    found: dict[str, str] = {}
    for first in range(len(words)):
        for last in range(first, min(first + space.max_words, len(words))):
            if last > first and _CLAUSE_END.search(space.source[words[last - 1][0] : words[last][0]].rstrip()):
                break
            phrase = _EDGES.sub("", space.source[words[first][0] : words[last][1]])
            if phrase and "," not in phrase:
                found.setdefault(phrase.lower(), phrase)
    return list(found.values())


def without_overlap(source: str, ranked: Sequence[str], limit: int) -> list[str]:
    """Take up to `limit` phrases from `ranked`, best first, that do not overlap in `source`."""
    taken: list[tuple[int, int]] = []
    chosen: list[str] = []
    for phrase in ranked:
        start = source.find(phrase)
        end = start + len(phrase)
        if len(chosen) < limit and all(end <= other or start >= last for other, last in taken):
            taken.append((start, end))
            chosen.append(phrase)
    return chosen
