"""A question of bounded length, with the parts that detection, prompt builders and readers need, each read once."""

import re
from functools import cached_property

from prompts.reading.counts import count_in, rating_range_in
from prompts.reading.labels import own_words
from prompts.reading.language import target_language_in
from prompts.reading.layout import laid_out
from prompts.reading.lists import NumberedList, read_numbered_list
from prompts.reading.quotes import Quoted, read_quoted

_MARKUP = ("{", "</", "**", "```")
LONGEST = 12_000  # characters; the longest public question has under 4,000, and a prompt holds about 8,000


def clipped(question: str) -> str:
    """Return the question, without its middle if it is longer than `LONGEST`: both ends carry the task.

    Lone surrogates, which no tokenizer accepts, become question marks.
    """
    if len(question) > LONGEST:
        half = LONGEST // 2
        question = f"{question[:half]}\n{question[-half:]}"
    return question.encode("utf-8", "replace").decode("utf-8")


class Question:
    """A question's text, clipped to a bounded length and laid out in lines, and its parts."""

    def __init__(self, text: str) -> None:
        text = clipped(text)
        # A JSON string may spell half a surrogate pair, and a layout is a little longer than its JSON.
        self.text = clipped(laid_out(text)) if any(mark in text for mark in _MARKUP) else text

    @cached_property
    def listed(self) -> NumberedList | None:
        """The numbered candidates; None where the question prints no list."""
        return read_numbered_list(self.text)

    @cached_property
    def quoted(self) -> list[Quoted]:
        """The quoted parts, in order."""
        return read_quoted(self.text)

    @cached_property
    def words(self) -> str:
        """The question's own words: without candidates, quotations and labelled content."""
        return own_words(self.text, self.listed)

    @cached_property
    def words_and_list(self) -> str:
        """The question's own words with its candidates."""
        return own_words(self.text, None)

    @cached_property
    def count(self) -> int | None:
        """How many candidates are asked for; None where the question's own words name no count."""
        return count_in(self.words)

    @property
    def size(self) -> int:
        """The number of candidates, 0 without a list."""
        return len(self.listed.items) if self.listed else 0

    def says(self, *families: re.Pattern[str]) -> bool:
        """Return whether the question's own words hold a word of each family."""
        return all(family.search(self.words) for family in families)

    @cached_property
    def rating_range(self) -> tuple[int, int] | None:
        """The lowest and the highest step of the rating that is asked for; None where none is."""
        return rating_range_in(self.words_and_list, self.text)

    @cached_property
    def target_language(self) -> str | None:
        """The ISO 639-1 code of the language to translate into; None where none is asked for."""
        return target_language_in(self.words)

    @cached_property
    def quoted_outside_list(self) -> list[Quoted]:
        """The quoted parts outside the numbered candidates."""
        if not self.listed:
            return self.quoted
        first, last = len(self.listed.before), len(self.text) - len(self.listed.after)
        return [part for part in self.quoted if part.end <= first or part.start >= last]
