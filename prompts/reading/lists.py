"""Reads the numbered candidates of a question."""

import re
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from prompts.languages import CHOOSE, INSTRUCTION, NUMBERS, ORDER, OUTPUT, family
from prompts.reading.bare_numbers import read_bare_numbers
from prompts.reading.counted_lines import CountedLine, read_counted_lines


@dataclass(frozen=True)
class ListedItem:
    """A candidate: its number in ASCII digits, and its text."""

    label: str
    text: str


@dataclass(frozen=True)
class NumberedList:
    """The candidates, and the question's unchanged text before and after them."""

    items: tuple[ListedItem, ...]
    before: str
    after: str


class _Marker(NamedTuple):
    """A number that may begin an item: its value, its start, its end (where the item's text begins), and its style."""

    number: int
    start: int
    end: int
    style: str


_Chain = tuple[_Marker, ...]
_End = Callable[[str, _Chain], int]

_STYLES = "|".join(
    (
        r"(?P<dot>\d{1,3})[.．](?!\d)",
        r"(?P<parenthesis>\d{1,3})[)）]",
        r"[(（](?P<parentheses>\d{1,3})[)）]",
        r"[\[【](?P<brackets>\d{1,3})[\]】]",
        r"(?P<colon>\d{1,3})[:：](?!\S)",
        r"(?P<dash>\d{1,3})[ \t]?[-–—](?!\S)",
        r"(?P<comma>\d{1,3})、",
        r"(?P<pipe>\d{1,3})[ \t]*[|｜](?!\d)",
    )
)
_LEGEND = r"(?P<equals>\d{1,3})[ \t]?=(?!=)"
_CIRCLE = "(?P<circle>[①-⑳])"
_NOUN = r"(?:(?:option|item|product|candidate|query|snippet)[ \t])?"
_AT_LINE_START = re.compile(
    rf"^[ \t]*(?:[-*•#|][ \t]*)?{_NOUN}(?:{_STYLES}|{_LEGEND}|{_CIRCLE})", re.MULTILINE | re.IGNORECASE
)
_BEHIND_A_COLON = re.compile(rf"(?<=[:：])[ \t]*(?:{_STYLES}|{_CIRCLE})")
_IN_A_LINE = re.compile(rf"(?<![^\s,;、，。：:])(?:{_STYLES})|(?<![^\s,;、，。：:(（]){_LEGEND}|{_CIRCLE}")
_LARGEST_GAP = 2
_FEWEST_LINES = 2
_FEWEST_WITHIN_A_LINE = 3
_WORDS_OF_A_CUE = 12
_MARKER = re.compile(
    r"\s*(?:answer|output|response|antwort|ausgabe|réponse|sortie|respuesta|salida|risposta|回答|答え|出力)"
    r"(?:\s*\([^()\n]*\))?\s*[:：]?\s*$",
    re.IGNORECASE,
)
_SENTENCE_START = re.compile(r"(?<=[.!?])(?=\s)|(?<=[。！？\n])")
_SENTENCE_END = re.compile(r"(?<=[\w\"”»)]{3})[.?!](?=\s+[A-ZÀ-Ý¿¡\d])|[。？！\n]")
_NUMBERS_BEHIND = re.compile(r"\s*[,;、]")
_OPENS_AN_ENUMERATION = re.compile(r"[:：,;–—\n]\s|[.?!]\s|\s(?=\S+ $)")
_JOINT = re.compile(r"^[\s,;]*(?:and|or|und|oder|et|ou|y|o|e|ed|en|of)\s", re.IGNORECASE)
_DASH = re.compile(r"\s[–—-]\s")
_EDGE = " \t\r\n,;、，；"
_HEADS_NO_CANDIDATES = family(
    stems="rule requirement guideline feature spec detail merkmal eigenschaft regel caractéristique"
    " característica caratteristic règle regla regola",
    unspaced="仕様 特徴 ルール 条件",
)
_TEXT_LABEL = re.compile(
    r"[ \t]*[^:：\n]{0,20}(?:review|description|feedback|bewertung|rezension|beschreibung|avis|reseña"
    r"|opinión|recensione|descripción|descrizione|レビュー|口コミ|説明|评论|描述)[^:：\n]{0,10}[:：]|input[:：]",
    re.IGNORECASE,
)
_LABEL_LINE = re.compile(r"^[ \t]*\w[^:：.!?\n]{0,40}[:：]", re.MULTILINE)
_REACH = 4_000
_MOST_TRIES = 4


def read_numbered_list(prompt: str) -> NumberedList | None:
    """Return the question's candidates: numbers at line starts, else numbers within a line; None without any.

    Of several lists the one at the end of the question counts, else the longest, unless its heading mentions features
    or rules. Numbered lines of a review or a description are no candidates.
    """
    lines = _chains(_line_markers(prompt), _FEWEST_LINES, _LARGEST_GAP)
    by_lines = (_list(prompt, chain, _end_by_lines) for chain in _likeliest(prompt, lines, _end_by_lines))
    listed = next((listed for listed in by_lines if not _is_in_a_text(listed)), None)
    if listed or lines:
        return listed
    counted = read_counted_lines(prompt)
    if counted:
        return _list_of_lines(prompt, counted)
    inner = _chains(_markers(prompt, _IN_A_LINE), _FEWEST_WITHIN_A_LINE, gap=1)
    free = [chain for chain in inner or _bare(prompt) if not _TEXT_LABEL.match(_label(_heading(prompt, chain, _REACH)))]
    likeliest = _likeliest(prompt, free, _end_by_sentence)
    if likeliest and _NUMBERS_BEHIND.match(prompt, likeliest[0][0].end) and likeliest[0][0].style == "parentheses":
        return _list_of_numbers_behind(prompt, likeliest[0])
    return _list(prompt, likeliest[0], _end_by_sentence) if likeliest else None


def _markers(prompt: str, styles: re.Pattern[str]) -> Iterator[_Marker]:
    for match in styles.finditer(prompt):
        digits = match[match.lastgroup or 0]
        number = ord(digits) - ord("①") + 1 if "①" <= digits <= "⑳" else int(digits)
        yield _Marker(number, match.start(), match.end(), match.lastgroup or "")


def _line_markers(prompt: str) -> list[_Marker]:
    """Return numbers at line starts, and a first number right behind the colon of a heading that is no item."""
    at_starts = list(_markers(prompt, _AT_LINE_START))
    starts = [marker.start for marker in at_starts]
    behind_colon = [
        marker
        for marker in _markers(prompt, _BEHIND_A_COLON)
        if marker.number <= 1 and not _follows_on_a_line(prompt, starts, marker)
    ]
    return sorted([*at_starts, *behind_colon], key=lambda marker: marker.end)


def _follows_on_a_line(prompt: str, starts: Sequence[int], marker: _Marker) -> bool:
    """Return whether the line of a marker begins with another one."""
    place = bisect(starts, marker.start) - 1
    return place >= 0 and prompt.find("\n", starts[place], marker.start) < 0 and starts[place] < marker.start


def _chains(markers: Iterable[_Marker], fewest: int, gap: int) -> list[_Chain]:
    """Return the runs of growing numbers of one style, in the order of their starts."""
    by_style: dict[str, list[_Marker]] = {}
    for marker in markers:
        by_style.setdefault(marker.style, []).append(marker)
    runs = [run for style in by_style.values() for run in _growing(style, gap)]
    enough = (run for run in runs if len(run) >= (_FEWEST_LINES if run[0].style == "equals" else fewest))
    return sorted(enough, key=lambda run: run[0].start)


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


def _likeliest(prompt: str, chains: Sequence[_Chain], end: _End) -> list[_Chain]:
    """Return up to `_MOST_TRIES` chains that may be the candidates, the most likely first."""
    if not chains:
        return []
    free = [chain for chain in chains if not _HEADS_NO_CANDIDATES.search(_heading(prompt, chain))] or chains
    by_length = sorted(free, key=lambda chain: (len(chain), chain[0].start), reverse=True)
    ends_question = len(prompt[end(prompt, free[-1]) :].split()) <= _WORDS_OF_A_CUE
    return [*([free[-1]] if ends_question else []), *by_length][:_MOST_TRIES]


def _is_in_a_text(listed: NumberedList) -> bool:
    """Return whether numbered lines belong to a review or description: the text behind them asks for nothing."""
    labels = _LABEL_LINE.findall(listed.before[-_REACH:])
    if not labels or not _TEXT_LABEL.match(labels[-1]):
        return False
    after = listed.after[:_REACH]
    asks = NUMBERS.search(after) or ORDER.search(after) or CHOOSE.search(after)
    return len(after.split()) > _WORDS_OF_A_CUE and not asks


def _heading(prompt: str, chain: _Chain, reach: int = 80) -> str:
    """Return the end of the line above the first item, or of the text before it on the same line."""
    return prompt[max(0, chain[0].start - reach) : chain[0].start].rstrip().rpartition("\n")[2]


def _bare(prompt: str) -> list[_Chain]:
    chain = tuple(_Marker(number, start, end, "bare") for number, start, end in read_bare_numbers(prompt))
    return [chain] if chain else []


def _list_of_lines(prompt: str, lines: Sequence[CountedLine]) -> NumberedList:
    items = [ListedItem(str(line.number), _without_frame(prompt[line.text : line.end])) for line in lines]
    first = prompt.rfind("\n", 0, lines[0].start) + 1
    return NumberedList(tuple(items), prompt[:first], prompt[lines[-1].end :])


def _without_frame(text: str) -> str:
    """Return the text of a row without the bar of a table, or the quotation mark that closes a string, at its end."""
    text = text.strip(_EDGE).rstrip("|").strip(_EDGE)
    return text[:-1] if text[-1:] in ("'", '"') and text.count(text[-1]) % 2 else text


def _label(heading: str) -> str:
    """Return the label that a list within a line belongs to: the one right before it, else the line's first."""
    return re.split(r"[.!?\"”»]\s+", heading)[-1] if heading.endswith((":", "：")) else heading


def _list(prompt: str, chain: _Chain, end: _End) -> NumberedList:
    last = end(prompt, chain)
    ends = [marker.start for marker in chain[1:]] + [last]
    items = [
        ListedItem(str(marker.number), prompt[marker.end : stop].strip(_EDGE))
        for marker, stop in zip(chain, ends, strict=True)
    ]
    return NumberedList(tuple(items), prompt[: chain[0].start], prompt[last:])


def _list_of_numbers_behind(prompt: str, chain: _Chain) -> NumberedList:
    """Return the list of a sentence in which the numbers follow their texts: "a pan (1), a pot (2) or a lid (3)"."""
    start = max((match.end() for match in _OPENS_AN_ENUMERATION.finditer(prompt, 0, chain[0].start)), default=0)
    starts = [start, *(marker.end for marker in chain[:-1])]
    texts = (prompt[begin : marker.start] for begin, marker in zip(starts, chain, strict=True))
    items = [ListedItem(str(m.number), _JOINT.sub("", text).strip(_EDGE)) for m, text in zip(chain, texts, strict=True)]
    return NumberedList(tuple(items), prompt[:start], prompt[chain[-1].end :])


def _end_by_lines(prompt: str, chain: _Chain) -> int:
    """Return the end of the last item: the end of its line, plus as many further lines as other items have."""
    more = max(_further_lines(prompt[marker.end : following.start]) for marker, following in pairwise(chain))
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
    """Return whether a line belongs to the item above it: it is neither blank, nor a heading, nor an instruction."""
    line = line.strip()
    if not line or line.endswith((":", "：")):
        return False
    return not (OUTPUT.match(line) or INSTRUCTION.match(line) or NUMBERS.search(line) or ORDER.search(line))


def _end_by_sentence(prompt: str, chain: _Chain) -> int:
    found = _SENTENCE_END.search(prompt, chain[-1].end)
    end = found.start() if found else len(prompt)
    dash = _DASH.search(prompt, chain[-1].end, end)
    if dash and NUMBERS.search(prompt, dash.end(), end):
        return dash.start()
    closing = prompt.find(")", chain[-1].end, end) if prompt[chain[0].start - 1 : chain[0].start] in ("(", "（") else -1
    return end if closing < 0 else closing


def without_list(listed: NumberedList) -> str:
    """Return the text before and after the list, without an answer marker at the end."""
    return without_marker("\n".join(part for part in (listed.before.strip(), listed.after.strip()) if part))


def without_marker(question: str) -> str:
    """Return the question without markers such as "Output:" at its end: the cue takes their place."""
    shorter = _MARKER.sub("", question).strip()
    return shorter if shorter == question else without_marker(shorter)


def without_form(question: str) -> str:
    """Return the question without the sentences that ask for numbers.

    Candidates that are scored by their texts need no number, and a model that was asked for numbers expects no text.
    """
    return "".join(part for part in _SENTENCE_START.split(question) if not NUMBERS.search(part)).strip()
