"""Cuts free text to its answer space: at a stop text, at the word limit, or at the end of a sentence."""

import re

from prompts.prompt import Text

_SENTENCE_END = re.compile(r"[.!?。！？](?=\s|$)")
_DANGLING = re.compile(r"[\s,;:、\-–—]+$")


def trim(raw: str, space: Text) -> str:
    """Return the part of `raw` that lies in `space`; it may be empty."""
    text = raw.strip()
    for stop in space.stop:
        text = text.split(stop, 1)[0]
    text = _append_missing(_cut_words(text.strip(), space.max_words), space)
    return text if text.strip() else ""


def _cut_words(text: str, limit: int) -> str:
    """Cut to `limit` words, or to the last sentence end before if that keeps at least half of them."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    if len(ends) <= limit:
        return text
    cut = text[: ends[limit - 1]]
    sentences = list(_SENTENCE_END.finditer(cut))
    if sentences and len(cut[: sentences[-1].end()].split()) * 2 >= limit:
        return cut[: sentences[-1].end()]
    return _DANGLING.sub("", cut)


def _append_missing(text: str, space: Text) -> str:
    missing = [phrase for phrase in space.keep if phrase not in text]
    room = space.max_words - sum(len(phrase.split()) for phrase in missing)
    words = text.split()
    kept = text if len(words) <= room else " ".join(words[:room])
    lost = [phrase for phrase in space.keep if phrase not in kept and phrase not in missing]
    if lost:
        return " ".join(space.keep)
    return " ".join([kept, *missing]).strip()
