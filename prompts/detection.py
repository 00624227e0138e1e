"""Which of the five task types a question is of."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from prompts import languages as say
from prompts.clipping import clipped
from prompts.reading.counts import count_in
from prompts.reading.labels import QUOTE_MARK, own_words
from prompts.reading.language import target_language_in
from prompts.reading.lists import NumberedList, read_numbered_list
from prompts.reading.review import wants_a_phrase
from utilities.task_type import TaskType

__all__ = ["FALLBACK", "FALLBACK_RULE", "FLAG_RULE", "RULES", "TaskType", "detect_task_type", "explain_detection"]


@dataclass(frozen=True)
class _Question:
    """A question's own words, and its numbered list if it prints one."""

    words: str
    listed: NumberedList | None

    def says(self, *families: re.Pattern[str]) -> bool:
        """Tell whether the question's own words hold a word of each family."""
        return all(family.search(self.words) for family in families)

    @cached_property
    def size(self) -> int:
        return len(self.listed.items) if self.listed else 0

    @cached_property
    def count(self) -> int | None:
        return count_in(self.words)

    @property
    def asks_for_some(self) -> bool:
        """Tell whether fewer candidates are asked for than the list holds."""
        return self.count is not None and self.count < self.size

    @cached_property
    def wants_a_text(self) -> bool:
        """Tell whether something is to be written, setting aside what must not be written."""
        return bool(say.WRITE.search(say.SET_ASIDE.sub(" ", self.words)))


def _orders_all(question: _Question) -> bool:
    if question.says(say.PERMUTATION):
        return True
    if not question.size:
        return False
    if question.says(say.ALL_NUMBERS) or question.says(say.FROM_BEST_TO_WORST):
        return True
    ordered = question.says(say.ORDER) or question.says(say.SEARCH, say.RELEVANCE)
    return (ordered and not question.asks_for_some) or (question.says(say.NUMBERS) and question.count == question.size)


def _gives_reasons(question: _Question) -> bool:
    return bool(say.REASONING.search(say.SET_ASIDE.sub(" ", question.words)))


def _selects(question: _Question) -> bool:
    if not question.size:
        return question.says(say.SELECT, say.NUMBERS, say.PICK_FROM) and question.count is not None
    if question.says(say.SEVERAL_NUMBERS) or question.says(say.SELECT, say.NUMBERS):
        return True
    if question.asks_for_some and (question.says(say.SELECT) or not question.wants_a_text):
        return True
    return question.says(say.CHOOSE, say.PICK_FROM) and not question.wants_a_text


def _copies_from_review(question: _Question) -> bool:
    return wants_a_phrase(question.words)


def _translates(question: _Question) -> bool:
    return question.says(say.TRANSLATE) or target_language_in(question.words) is not None


def _names_entity(question: _Question) -> bool:
    return question.says(say.ENTITY)


def _copies_from_query(question: _Question) -> bool:
    if question.size or question.says(say.REVIEW) or question.says(say.SUMMARY) or question.wants_a_text:
        return False
    if question.says(say.ATTRIBUTE, say.VERBATIM):
        return True
    if not (question.says(say.SEARCH) or question.says(say.TITLE)):
        return False
    if question.says(say.ATTRIBUTE, say.COPIED) or question.says(say.FROM_A_SOURCE, say.EXTRACT):
        return True
    has_slot = question.says(say.ATTRIBUTE) or question.says(say.COPIED) or question.words.count(QUOTE_MARK) > 1
    return has_slot and (question.says(say.EXTRACT) or question.says(say.WHICH_PART))


Rule = tuple[str, Callable[[_Question], bool], TaskType]
RULES: tuple[Rule, ...] = (
    ("wants reasons", _gives_reasons, TaskType.GENERATION),
    ("orders all candidates", _orders_all, TaskType.RANKING),
    ("selects candidates by number", _selects, TaskType.RETRIEVAL),
    ("copies a phrase of a review", _copies_from_review, TaskType.GENERATION),
    ("translates", _translates, TaskType.GENERATION),
    ("names an entity type", _names_entity, TaskType.NAMED_ENTITY_RECOGNITION),
    ("copies words of a query or title", _copies_from_query, TaskType.NAMED_ENTITY_RECOGNITION),
)
FLAG_RULE = "is_multiple_choice"
FALLBACK_RULE = "none applies"
FALLBACK = TaskType.GENERATION


def detect_task_type(prompt: str, is_multiple_choice: bool) -> TaskType:
    """Return the task type of any text; the flag wins over the text. Raises nothing."""
    return explain_detection(prompt, is_multiple_choice)[0]


def explain_detection(prompt: str, is_multiple_choice: bool) -> tuple[TaskType, str]:
    """Return the task type and the name of the first rule that applies: of `RULES`, the flag or the fallback."""
    if is_multiple_choice:
        return TaskType.MULTIPLE_CHOICE, FLAG_RULE
    prompt = clipped(prompt)
    listed = read_numbered_list(prompt)
    question = _Question(own_words(prompt, listed), listed)
    applying = ((task_type, name) for name, applies, task_type in RULES if applies(question))
    return next(applying, (FALLBACK, FALLBACK_RULE))
