"""The block of evidence in a ranking prompt, between the list and the output instruction."""

import re
from collections.abc import Iterator, Sequence

from prompts.reading import NumberedList

_LONGEST_TITLE = 60
_HEADER = "[External information]"
_RELATED = 'Here are some products if user input the query "{query}":'
_BEST = "The following items are very important and have a strong relevance to the query and ranked by relevance:"
_WIDE = re.compile("[\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]")


def external_blocks(query: str, related: Sequence[str], best: Sequence[str], tokens: int) -> str:
    """Return a block with related products and the best candidates, of about `tokens` tokens at most; may be empty.

    If not everything fits, candidates take precedence. A product is shown whole or not at all, in one line, so that no
    title can pass for an instruction.
    """
    room = tokens - token_estimate(_HEADER)
    candidates, room = _fitting(best, room - token_estimate(_BEST))
    products, _ = _fitting(related, room - token_estimate(_RELATED.format(query=query)))
    lines = [_RELATED.format(query=_one_line(query)), *products] if products else []
    lines += [_BEST, *candidates] if candidates else []
    return "\n".join([_HEADER, *lines]) if lines else ""


def with_external_information(question: str, listed: NumberedList, block: str) -> str:
    """Put `block` between the question's list and its output instruction; an empty one changes nothing."""
    if not block:
        return question
    at = len(question) - len(listed.after)
    return f"{question[:at].rstrip()}\n{block}\n{question[at:].lstrip(chr(10))}"


def token_estimate(text: str) -> int:
    """Estimate the tokens of a text: one for four characters, or for one character of Chinese, Japanese or Korean."""
    wide = len(_WIDE.findall(text))
    return wide + -(-(len(text) - wide) // 4) + 1


def _fitting(texts: Sequence[str], room: int) -> tuple[list[str], int]:
    """Return the first texts that fit into `room` tokens, and the remaining room."""
    kept = list(_first_fitting(texts, room))
    return kept, room - sum(map(token_estimate, kept))


def _first_fitting(texts: Sequence[str], room: int) -> Iterator[str]:
    for text in map(_one_line, texts):
        room -= token_estimate(text)
        if room < 0:
            return
        yield text


def _one_line(text: str) -> str:
    """Return the first words of a title in one line."""
    return " ".join(text.split()[:_LONGEST_TITLE])
