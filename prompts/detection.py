"""Detects the task type of a question by an ordered table of rules."""

from collections.abc import Callable

from prompts import languages as say
from prompts.reading import Question, asks_to_extract
from prompts.reading.labels import QUOTE_MARK
from utilities.task_type import TaskType


def _asks_for_some(question: Question) -> bool:
    """Return whether fewer candidates are asked for than the list holds."""
    return question.count is not None and question.count < question.size


def _wants_a_text(question: Question) -> bool:
    """Return whether the question asks for a written text; texts that it forbids do not count."""
    return bool(say.WRITE.search(say.SET_ASIDE.sub(" ", question.words)))


def _orders_all(question: Question) -> bool:
    if question.says(say.PERMUTATION):
        return True
    if not question.size:
        return False
    if question.says(say.ALL_NUMBERS) or question.says(say.FROM_BEST_TO_WORST):
        return True
    ordered = question.says(say.ORDER) or question.says(say.SEARCH, say.RELEVANCE)
    return (ordered and not _asks_for_some(question)) or (
        question.says(say.NUMBERS) and question.count == question.size
    )


def _gives_reasons(question: Question) -> bool:
    return bool(say.REASONING.search(say.SET_ASIDE.sub(" ", question.words)))


def _selects(question: Question) -> bool:
    if not question.size:
        return question.says(say.SELECT, say.NUMBERS, say.PICK_FROM) and question.count is not None
    if question.says(say.SEVERAL_NUMBERS) or question.says(say.SELECT, say.NUMBERS):
        return True
    if _asks_for_some(question) and (question.says(say.SELECT) or not _wants_a_text(question)):
        return True
    return question.says(say.CHOOSE, say.PICK_FROM) and not _wants_a_text(question)


def _translates(question: Question) -> bool:
    return question.says(say.TRANSLATE) or question.target_language is not None


def _names_entity(question: Question) -> bool:
    return question.says(say.ENTITY)


def _copies_from_query(question: Question) -> bool:
    if question.size or question.says(say.REVIEW) or question.says(say.SUMMARY) or _wants_a_text(question):
        return False
    if question.says(say.ATTRIBUTE, say.VERBATIM):
        return True
    if not (question.says(say.SEARCH) or question.says(say.TITLE)):
        return False
    if question.says(say.ATTRIBUTE, say.COPIED) or question.says(say.FROM_A_SOURCE, say.EXTRACT):
        return True
    has_slot = question.says(say.ATTRIBUTE) or question.says(say.COPIED) or question.words.count(QUOTE_MARK) > 1
    return has_slot and (question.says(say.EXTRACT) or question.says(say.WHICH_PART))


Rule = tuple[str, Callable[[Question], bool], TaskType]
RULES: tuple[Rule, ...] = (
    ("wants reasons", _gives_reasons, TaskType.GENERATION),
    ("orders all candidates", _orders_all, TaskType.RANKING),
    ("selects candidates by number", _selects, TaskType.RETRIEVAL),
    ("copies a phrase of a review", asks_to_extract, TaskType.GENERATION),
    ("translates", _translates, TaskType.GENERATION),
    ("names an entity type", _names_entity, TaskType.NAMED_ENTITY_RECOGNITION),
    ("copies words of a query or title", _copies_from_query, TaskType.NAMED_ENTITY_RECOGNITION),
)
FLAG_RULE = "is_multiple_choice"
FALLBACK_RULE = "none applies"
FALLBACK = TaskType.GENERATION


def detect_task_type(question: Question, is_multiple_choice: bool) -> TaskType:
    """Return the task type of a question; the flag takes precedence over the text. Raises nothing."""
    return explain_detection(question, is_multiple_choice)[0]


def explain_detection(question: Question, is_multiple_choice: bool) -> tuple[TaskType, str]:
    """Return the task type, and the name of the first rule that applies: one of `RULES`, the flag or the fallback."""
    if is_multiple_choice:
        return TaskType.MULTIPLE_CHOICE, FLAG_RULE
    applying = ((task_type, name) for name, applies, task_type in RULES if applies(question))
    return next(applying, (FALLBACK, FALLBACK_RULE))
