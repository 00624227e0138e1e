"""Reads numbers without punctuation that count up within a line: "1 pan, 2 pot, 3 lid"."""

import re
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

_NUMBER = re.compile(
    r"(?:(?<=[,;/|])|(?<![^\s:：→=>(){}–—-])) ?#?(?P<bare>\d{1,2})"
    r"(?:[ \t](?=[^\W\d]|[\"“«„「])|(?=(?![個つ本枚件点冊台])[ぁ-ヿ一-鿿]))"
)
_SENTENCE_END = re.compile(r"\w{3}[.?!]\s|[。？！\n]")
_FEWEST = 3
_MOST = 200
_MOST_TRIES = 4
_LONGEST = 160
_SEPARATORS = (",", ";", "/", "|")


class BareNumber(NamedTuple):
    """A number, where it begins, and where its text begins."""

    number: int
    start: int
    text: int


def read_bare_numbers(prompt: str) -> list[BareNumber]:
    """Return the first run of three numbers or more that count up by one between like separators; empty without one."""
    found = list(islice(_NUMBER.finditer(prompt), _MOST))
    firsts = [place for place, match in enumerate(found) if int(match["bare"]) <= 1][:_MOST_TRIES]
    chains = (_chain(prompt, found[place:]) for place in firsts)
    chain = next((chain for chain in chains if len(chain) >= _FEWEST), [])
    return [BareNumber(int(match["bare"]), match.start("bare"), match.end()) for match in chain]


def _chain(prompt: str, found: Sequence[re.Match[str]]) -> list[re.Match[str]]:
    chain, separator = [found[0]], None
    for following in found[1:]:
        between = prompt[chain[-1].end() : following.start("bare")].rstrip(" #")
        if len(between) > _LONGEST or _SENTENCE_END.search(between):
            break
        if int(following["bare"]) == int(chain[-1]["bare"]) + 1 and separator in (None, _separator(between)):
            separator = _separator(between)
            chain.append(following)
    return chain


def _separator(text: str) -> str:
    return text[-1:] if text[-1:] in _SEPARATORS else ""
