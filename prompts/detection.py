"""Detects the task type of a question: by a classifier of its wording, combined with an ordered table of rules."""

import math
import re
from collections.abc import Callable, Mapping

from prompts import languages as say
from prompts import order_patterns
from prompts.prompt import softmax
from prompts.reading import Question, asks_to_extract, read_source_text
from prompts.reading.labels import QUOTE_MARK, introduces_instruction, read_labels
from prompts.type_classifier import TypeClassifier, classifier
from utilities.task_type import TaskType

_QUOTED = re.compile(QUOTE_MARK)
_WORDS_THAT_DENOTE = re.compile(
    rf"(?:{say.COPIED.pattern})\w*(?! {QUOTE_MARK})[^.?\n]{{0,40}}?(?:{say.DENOTES.pattern})"
    r"|(?:表す|表し|示す|指す)[^。\n]{0,6}[語句]",
    re.IGNORECASE,
)
_NUMBER = rf"(?:[2-9]|{'|'.join(word for word, value in say.NUMBER_WORDS.items() if value > 1 and word.isalpha())})"
_FEW = re.compile(
    rf"\b(?:which|what|only|top|just|k ?=|welche|nur|quel(?:le)?s|seule?s?|seulement|solo|solamente|sólo|quali"
    rf"|avec|con) ?"
    rf"{_NUMBER}\b|(?:^|[.!?:,]\s+){_NUMBER} (?:\w+ ){{0,2}}(?:of|from|von|aus|parmi|de|di|tra|trucs|choses"
    rf"|cosas|cose)\b"
    rf"|\b{_NUMBER} (?:sach\w+|dinge|trucs|choses|cosas|cose|things|items)\b",
    re.IGNORECASE | re.MULTILINE,
)
_ONLY_A_QUOTED_PLACE = re.compile(
    rf"^\W*(?:\w+ ){{1,4}}(?:in|from|of|im|aus|dans|de|en|nel|di|da) {QUOTE_MARK}", re.IGNORECASE
)
_COPY = re.compile(r"\b(?:re)?cop[yi]|\bkopier|\babschr|写", re.IGNORECASE)
_SENTENCE = re.compile(r"\w{3}[.!?](?:\s|$)|[。！？]")
_FEWEST_WORDS = 5
_WORD = re.compile(r"[^\W_]")


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
    if any(question.says(family) for family in (order_patterns.ALL_NUMBERS, order_patterns.FROM_BEST_TO_WORST)):
        return True
    if question.says(order_patterns.SERIES) and not _wants_a_text(question):
        return True
    ordered = question.says(say.ORDER) or question.says(say.SEARCH, say.RELEVANCE)
    return (ordered and (not _asks_for_some(question) or question.count == 1)) or (
        question.says(say.NUMBERS) and question.count == question.size
    )


def _gives_reasons(question: Question) -> bool:
    return bool(say.REASONING.search(say.SET_ASIDE.sub(" ", question.words)))


def _selects(question: Question) -> bool:
    if not question.size:
        return (
            question.says(say.SELECT, say.NUMBERS, say.PICK_FROM)
            and question.count is not None
            and not _names_entity(question)
        )
    if question.says(say.SEVERAL_NUMBERS) or question.says(say.SELECT, say.NUMBERS):
        return True
    if question.size > 2 and _FEW.search(question.words) and not _wants_a_text(question):
        return True
    if _asks_for_some(question) and (question.says(say.SELECT) or not _wants_a_text(question)):
        return True
    return question.says(say.CHOOSE) and not _wants_a_text(question) and not asks_to_extract(question)


def _translates(question: Question) -> bool:
    return question.says(say.TRANSLATE) or question.target_language is not None


def _names_entity(question: Question) -> bool:
    return question.says(say.ENTITY)


def _copies_from_query(question: Question) -> bool:
    is_of_review = say.REVIEW.search(say.SET_ASIDE.sub(" ", question.words))
    if question.size or is_of_review or question.says(say.SUMMARY) or _wants_a_text_beside(question):
        return False
    has_source = question.says(say.SEARCH) or question.says(say.TITLE)
    if not has_source and _quotes_sentences(question):
        return False
    if question.says(say.ATTRIBUTE, say.VERBATIM):
        return True
    if (has_source or QUOTE_MARK in question.words) and _asks_for_words(question):
        return True
    if not has_source:
        return False
    if question.says(say.ATTRIBUTE, say.COPIED) or question.says(say.FROM_A_SOURCE, say.EXTRACT):
        return True
    has_slot = question.says(say.ATTRIBUTE) or question.says(say.COPIED) or question.words.count(QUOTE_MARK) > 1
    return has_slot and (question.says(say.EXTRACT) or question.says(say.WHICH_PART))


def _wants_a_text_beside(question: Question) -> bool:
    """Return whether a written text is asked for outside of the text that the question is about."""
    if not _wants_a_text(question):
        return False
    words = question.words.replace(read_source_text(question) or QUOTE_MARK, QUOTE_MARK)
    return bool(say.WRITE.search(say.SET_ASIDE.sub(" ", words)))


def _quotes_sentences(question: Question) -> bool:
    """Return whether a quoted or labelled text holds sentences, as a review does and a query or a title does not."""
    labels = [label for label in read_labels(question.text) if not introduces_instruction(label.name)]
    texts = [*(part.text for part in question.quoted), *(question.text[label.content : label.end] for label in labels)]
    return any(_SENTENCE.search(text) and len(text.split()) > _FEWEST_WORDS for text in texts)


def _asks_for_words(question: Question) -> bool:
    """Return whether words of a printed text are asked for: those that denote something, or copied ones."""
    if (
        question.says(say.ATTRIBUTE, _ONLY_A_QUOTED_PLACE)
        or question.says(_WORDS_THAT_DENOTE)
        or question.says(say.COPIED, say.VERBATIM)
    ):
        return True
    return question.says(say.COPY_OUT, _QUOTED) or question.says(say.ATTRIBUTE, say.COPIED, _COPY, _QUOTED)


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
FIRM_RULES: Mapping[str, float] = {"wants reasons": math.inf, "orders all candidates": 0.95}
"""The least probability of another type that outweighs a rule; infinity for a rule that nothing outweighs."""
FLAG_RULE = "is_multiple_choice"
FALLBACK_RULE = "none applies"
FALLBACK = TaskType.GENERATION


def detect_task_type(question: Question, is_multiple_choice: bool) -> TaskType:
    """Return the task type of a question; the flag takes precedence over the text. Raises nothing."""
    return explain_detection(question, is_multiple_choice)[0]


def explain_detection(question: Question, is_multiple_choice: bool) -> tuple[TaskType, str]:
    """Return the task type with its reason: the flag, a rule's name, or the probabilities by the wording."""
    if is_multiple_choice:
        return TaskType.MULTIPLE_CHOICE, FLAG_RULE
    by_rule = apply_rules(question)
    return weigh(question, by_rule, classifier()) if _WORD.search(question.text) else by_rule


def apply_rules(question: Question) -> tuple[TaskType, str]:
    """Return the type and the name of the first rule that applies: one of `RULES`, or the fallback."""
    applying = ((task_type, name) for name, applies, task_type in RULES if applies(question))
    return next(applying, (FALLBACK, FALLBACK_RULE))


def weigh(question: Question, by_rule: tuple[TaskType, str], classifier: TypeClassifier) -> tuple[TaskType, str]:
    """Return the type that is likeliest by the wording and by the rule that applies, with the reason."""
    task_type, share = decide(by_rule, classifier.scores(question, by_rule[1]))
    if task_type is by_rule[0]:
        return by_rule
    return task_type, f"wording: {task_type} {share:.2f} over {by_rule[0]} ({by_rule[1]})"


def decide(by_rule: tuple[TaskType, str], scores: Mapping[TaskType, float]) -> tuple[TaskType, float]:
    """Return the likeliest type and its probability; a firm rule gives way to a high one only."""
    likeliest = max(scores, key=scores.__getitem__)
    share = max(softmax(list(scores.values())))
    gives_way = by_rule[0] in scores and share >= FIRM_RULES.get(by_rule[1], 0.0)
    return (likeliest if gives_way else by_rule[0]), share
