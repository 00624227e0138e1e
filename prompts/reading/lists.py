"""The numbered candidates of a question."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from prompts.languages import INSTRUCTION, NUMBERS, ORDER, OUTPUT, SELECT, family


@dataclass(frozen=True)
class Item:
    """A candidate: its number in ASCII digits, and what stands behind it."""

    label: str
    text: str


@dataclass(frozen=True)
class NumberedList:
    """The candidates, and the question's text on both sides of them, unchanged."""

    items: tuple[Item, ...]
    before: str
    after: str


@dataclass(frozen=True)
class _Marker:
    """A number that may begin an item: its value, where it begins, where the item's text begins."""

    number: int
    start: int
    end: int


_Chain = tuple[_Marker, ...]
_End = Callable[[str, _Chain], int]

_STYLES = (
    r"(\d{1,3})[.．](?!\d)",
    r"(\d{1,3})[)）]",
    r"[(（](\d{1,3})[)）]",
    r"[\[【](\d{1,3})[\]】]",
    r"(\d{1,3})[:：](?!\S)",
    r"(\d{1,3})[ \t]?[-–—](?!\S)",
    r"(\d{1,3})、",
    r"([①-⑳])",
)
_NOUN = r"(?:(?:option|item|product|candidate|query|snippet)[ \t])?"
_LINE_STYLES = tuple(
    re.compile(rf"^[ \t]*(?:[-*•#][ \t]*)?{_NOUN}{style}", re.MULTILINE | re.IGNORECASE) for style in _STYLES
)
_FIRST_STYLES = tuple(re.compile(rf"[:：][ \t]*{style.replace('1,3', '1')}") for style in _STYLES)
_INNER_STYLES = (*(re.compile(rf"(?<![^\s,;、，。：:]){style}") for style in _STYLES[:-1]), re.compile(_STYLES[-1]))
_LARGEST_GAP = 2
_FEWEST_LINES = 2
_FEWEST_WITHIN_A_LINE = 3
_WORDS_OF_A_CUE = 12
_SENTENCE_END = re.compile(r"(?<=[\w\"”»)]{3})[.?!](?=\s+[A-ZÀ-Ý¿¡\d])|[。？！\n]")
_EDGE = " \t\r\n,;、，；"
_HEADS_NO_CANDIDATES = family(
    stems="rule requirement guideline feature spec detail merkmal eigenschaft regel caractéristique característica"
    " caratteristic règle regla regola",
    unspaced="仕様 特徴 ルール 条件",
)
_TEXT_LABEL = re.compile(
    r"[ \t]*[^:：\n]{0,20}(?:review|description|feedback|bewertung|rezension|beschreibung|avis|description|reseña|opinión|recensione"
    r"|descripción|descrizione|レビュー|口コミ|説明|评论|描述)[^:：\n]{0,10}[:：]|input[:：]",
    re.IGNORECASE,
)
_LABEL_LINE = re.compile(r"^[ \t]*\w[^:：.!?\n]{0,40}[:：]", re.MULTILINE)
_REACH = 4_000


def read_numbered_list(prompt: str) -> NumberedList | None:
    """Read the question's candidates: numbers at line starts, else numbers within a line; None without any.

    Of several lists the one that ends the question counts, else the longest, unless its heading speaks of features
    or rules.
    """
    chains = _chains((_line_markers(prompt, *styles) for styles in _LINE_PAIRS), _FEWEST_LINES, _LARGEST_GAP)
    chains = [chain for chain in chains if not _is_in_a_text(prompt, chain)]
    if chains:
        return _best(prompt, chains, _end_by_lines)
    chains = _chains((_markers(prompt, style) for style in _INNER_STYLES), _FEWEST_WITHIN_A_LINE, gap=1)
    chains = [chain for chain in chains if not _TEXT_LABEL.match(_heading(prompt, chain, _REACH))]
    return _best(prompt, chains, _end_by_sentence) if chains else None


_LINE_PAIRS = tuple(zip(_LINE_STYLES, _FIRST_STYLES, strict=True))


def _markers(prompt: str, style: re.Pattern[str]) -> Iterator[_Marker]:
    for match in style.finditer(prompt):
        number = ord(match[1]) - ord("①") + 1 if "①" <= match[1] <= "⑳" else int(match[1])
        yield _Marker(number, match.start(), match.end())


def _line_markers(prompt: str, line: re.Pattern[str], first: re.Pattern[str]) -> list[_Marker]:
    """Return numbers at line starts, and the number of a first item that stands behind its heading's colon."""
    behind_colon = [
        _Marker(marker.number, marker.start + 1, marker.end) for marker in _markers(prompt, first) if marker.number <= 1
    ]
    return sorted([*_markers(prompt, line), *behind_colon], key=lambda marker: marker.end)


def _chains(styles: Iterable[Iterable[_Marker]], fewest: int, gap: int) -> list[_Chain]:
    """Return the runs of growing numbers of one style, in order of their beginning."""
    runs = [run for markers in styles for run in _growing(markers, gap)]
    return sorted((run for run in runs if len(run) >= fewest), key=lambda run: run[0].start)


def _growing(markers: Iterable[_Marker], gap: int) -> list[_Chain]:
    """Split markers into runs: 0 begins one, and 1 where no 0 stands before it; a number out of turn is skipped."""
    runs: list[list[_Marker]] = []
    for marker in markers:
        step = marker.number - runs[-1][-1].number if runs else 0
        if 1 <= step <= gap:
            runs[-1].append(marker)
        elif marker.number <= 1:
            runs.append([marker])
    return [tuple(run) for run in runs]


def _best(prompt: str, chains: Sequence[_Chain], end: _End) -> NumberedList:
    chosen = [chain for chain in chains if not _HEADS_NO_CANDIDATES.search(_heading(prompt, chain))] or chains
    last = _list(prompt, chosen[-1], end)
    if len(last.after.split()) <= _WORDS_OF_A_CUE:
        return last
    longest = max(reversed(chosen), key=len)
    return _list(prompt, longest, end)


def _is_in_a_text(prompt: str, chain: _Chain) -> bool:
    """Tell whether numbered lines belong to a review or description: text follows that asks for nothing."""
    start = chain[0].start
    labels = list(_LABEL_LINE.finditer(prompt, max(0, start - _REACH), start))
    if not labels or not _TEXT_LABEL.match(labels[-1][0]):
        return False
    after = prompt[_end_by_lines(prompt, chain) :]
    asks = NUMBERS.search(after) or ORDER.search(after) or SELECT.search(after)
    return len(after[:_REACH].split()) > _WORDS_OF_A_CUE and not asks


def _heading(prompt: str, chain: _Chain, reach: int = 80) -> str:
    """Return the end of the line above the first item, or of what stands before it on its line."""
    return prompt[max(0, chain[0].start - reach) : chain[0].start].rstrip().rpartition("\n")[2]


def _list(prompt: str, chain: _Chain, end: _End) -> NumberedList:
    last = end(prompt, chain)
    ends = [marker.start for marker in chain[1:]] + [last]
    items = [
        Item(str(marker.number), prompt[marker.end : stop].strip(_EDGE))
        for marker, stop in zip(chain, ends, strict=True)
    ]
    return NumberedList(tuple(items), prompt[: chain[0].start], prompt[last:])


def _end_by_lines(prompt: str, chain: _Chain) -> int:
    """Return where the last item ends: with its line, or as many lines later as other items go on for."""
    between = zip(chain, chain[1:], strict=False)
    more = max(_further_lines(prompt[marker.end : following.start]) for marker, following in between)
    at = _line_end(prompt, chain[-1].end)
    for _ in range(more):
        following = _line_end(prompt, at + 1)
        if not _continues(prompt[at + 1 : following]):
            return at
        at = following
    return at


def _further_lines(item: str) -> int:
    return sum(1 for line in item.split("\n")[1:] if line.strip())


def _line_end(prompt: str, start: int) -> int:
    at = prompt.find("\n", start)
    return len(prompt) if at < 0 else at


def _continues(line: str) -> bool:
    """Tell whether a line belongs to the item above it: it is neither blank, nor a heading, nor an instruction."""
    line = line.strip()
    if not line or line.endswith((":", "：")):
        return False
    return not (OUTPUT.match(line) or INSTRUCTION.match(line) or NUMBERS.search(line) or ORDER.search(line))


def _end_by_sentence(prompt: str, chain: _Chain) -> int:
    found = _SENTENCE_END.search(prompt, chain[-1].end)
    return found.start() if found else len(prompt)
