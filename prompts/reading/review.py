"""Reviews, the aspect a question names, and whether a phrase of the review is to be copied."""

import re

from prompts.languages import ASPECT, ENTITY, EXTRACT, KEYPHRASE, NUMBERS, REVIEW, family
from prompts.reading.labels import labelled_block, labelled_line, own_words
from prompts.reading.lists import read_numbered_list
from prompts.reading.quotes import read_quoted

_NO_REVIEW = family(
    stems="list snippet title titel titre título titolo aspect rating liste lista elenco",
    unspaced="リスト タイトル",
)
_INPUT = family(stems="input text eingabe entrée entrada testo texto", unspaced="入力 文章")
_NEARBY = 40
_NAMED_ASPECT = re.compile(
    r"\b(?:on|about|of|regarding|concerning) the ([\w-]+(?: [\w-]+){0,3}) aspect\b"
    r"|\b(?:about|concerning|regarding|on|addresses|mentions|discusses) (?:the )?([\w-]+(?: [\w-]+)?) "
    r"(?:out of|in|from|of)|(?:speaks|talks|is) about (?:the )?([\w-]+(?: [\w-]+)?)[.,:\n]",
    re.IGNORECASE,
)
_ASPECT_CUE = family(
    stems="aspect aspekt aspecto aspetto about over über zum sur sobre su_ sulla relat de_l",
    words="regarding concerning du il la lo",
    unspaced="観点 側面 方面",
)


def read_review(prompt: str) -> str | None:
    """Return the customer's review that a question prints; None without one."""
    labelled = labelled_block(prompt, REVIEW, _NO_REVIEW)
    if labelled:
        return labelled
    words = own_words(prompt, read_numbered_list(prompt))
    if not REVIEW.search(words):
        return None
    entered = labelled_block(prompt, _INPUT, _NO_REVIEW)
    if entered:
        return entered
    quoted = [part.text for part in read_quoted(prompt) if len(part.text.split()) > 2 or " " not in part.text]
    longest = max(quoted, key=len, default="")
    return longest if len(longest) > _NEARBY // 2 else None


def read_aspect(prompt: str) -> str | None:
    """Return the aspect that a phrase or a review is to be about; None where the question names none."""
    labelled = labelled_line(prompt, ASPECT, family(stems="list liste lista elenco", unspaced="リスト"))
    if labelled:
        return labelled.strip("'\"“”„«»「」. ") or None
    for part in read_quoted(prompt):
        if _ASPECT_CUE.search(prompt[max(0, part.start - _NEARBY) : part.start]) or "観点" in prompt[part.end :][:9]:
            return part.text if len(part.text) <= _NEARBY else None
    named = _NAMED_ASPECT.search(own_words(prompt, None))
    return next((group for group in named.groups() if group), None) if named else None


def asks_to_extract(prompt: str) -> bool:
    """Tell whether one phrase is to be copied word for word out of a review."""
    return wants_a_phrase(own_words(prompt, read_numbered_list(prompt)))


def wants_a_phrase(words: str) -> bool:
    """Tell from a question's own `words` whether one phrase of a review is to be copied."""
    if ENTITY.search(words) or NUMBERS.search(words):
        return False
    return all(named.search(words) for named in (EXTRACT, KEYPHRASE, REVIEW))
