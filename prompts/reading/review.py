"""Reads a review, the aspect that the question names, and whether the answer is a phrase of the review."""

import re

from prompts.languages import ASPECT, ENTITY, EXTRACT, KEYPHRASE, NUMBERS, REVIEW, family
from prompts.reading.labels import labelled_block, labelled_line
from prompts.reading.question import Question

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


def read_review(question: Question) -> str | None:
    """Return the customer's review that a question prints; None without one."""
    labelled = labelled_block(question.text, REVIEW, _NO_REVIEW)
    if labelled:
        return labelled
    if not REVIEW.search(question.words):
        return None
    entered = labelled_block(question.text, _INPUT, _NO_REVIEW)
    if entered:
        return entered
    quoted = [part.text for part in question.quoted if len(part.text.split()) > 2 or " " not in part.text]
    longest = max(quoted, key=len, default="")
    return longest if len(longest) > _NEARBY // 2 else None


def read_aspect(question: Question) -> str | None:
    """Return the aspect that a phrase or a review is to be about; None if the question names none."""
    labelled = labelled_line(question.text, ASPECT, family(stems="list liste lista elenco", unspaced="リスト"))
    if labelled:
        return labelled.strip("'\"“”„«»「」. ") or None
    text = question.text
    for part in question.quoted:
        if _ASPECT_CUE.search(text[max(0, part.start - _NEARBY) : part.start]) or "観点" in text[part.end :][:9]:
            return part.text if len(part.text) <= _NEARBY else None
    named = _NAMED_ASPECT.search(question.words_and_list)
    return next((group for group in named.groups() if group), None) if named else None


def asks_to_extract(question: Question) -> bool:
    """Return whether one phrase is to be copied word for word out of a review."""
    words = question.words
    if ENTITY.search(words) or NUMBERS.search(words):
        return False
    return all(named.search(words) for named in (EXTRACT, KEYPHRASE, REVIEW))
