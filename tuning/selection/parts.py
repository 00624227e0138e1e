"""What a question's text is made of: words that can be compared, and which of them are its template's."""

import sys
from dataclasses import dataclass

from prompts.reading import read_numbered_list
from prompts.reading.labels import QUOTE_MARK, own_words
from retrieval import words as tokens
from tuning.selection.letters import with_numbered_lines

Words = tuple[str, ...]


@dataclass(frozen=True)
class Parts:
    """A question's folded words.

    Attributes:
        words: all of them, without the numbers or letters of options.
        template: those outside of quotations, labelled content and candidates, a tuple for each run in the text.
        options: the candidates in order, joined; empty without candidates.
        around: all but the candidates.
    """

    words: Words
    template: tuple[Words, ...]
    options: tuple[Words, ...] = ()
    around: Words = ()


def read_parts(text: str) -> Parts:
    """Take a question apart as the package's own prompts do."""
    text = with_numbered_lines(text)
    listed = read_numbered_list(text)
    template = tuple(folded(run) for run in own_words(text, listed).split(QUOTE_MARK) if run.strip())
    if listed is None:
        words = folded(text)
        return Parts(words, template, (), words)
    options = tuple(folded(item.text) for item in listed.items)
    before, after = folded(listed.before), folded(listed.after)
    return Parts((*before, *joined(options), *after), template, options, (*before, *after))


def joined(runs: tuple[Words, ...]) -> Words:
    """Return the words of several runs as one."""
    return tuple(word for run in runs for word in run)


def folded(text: str) -> Words:
    """Return a text's words as they are compared; equal words are one object, as there are millions of them."""
    return tuple(sys.intern(word) for word in tokens.words(text))
