"""Retrieval: the prompt asks for the three best candidates of a numbered list."""

from collections.abc import Mapping

from prompts.languages import REVIEW
from prompts.plain import plain_prompt
from prompts.prompt import ASSISTANT, PREVIOUS_KNOWLEDGE, Prompt, Selection, variant
from prompts.reading import NumberedList, Question, read_actions, read_aspect, read_product, read_review
from prompts.reading.lists import without_form, without_list
from prompts.reading.session import PRODUCT
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE, Knowledge
from retrieval.lexical import best_first
from utilities.task_type import TaskType

_EXPERT = "You are a product retrieval expert. You help consumers to find the products that meet their specific needs."
VARIANTS: Mapping[str, str] = {
    "base": ASSISTANT,
    "expert": _EXPERT,
    "previous_knowledge": f"{_EXPERT} {PREVIOUS_KNOWLEDGE}",
    "short_role": f"You are a product retrieval expert. {PREVIOUS_KNOWLEDGE[:-1]} as clearly as possible.",
}

_COUNTED = 3  # hit rate@3 counts the first three numbers: an answer with fewer loses score


def build(question: Question, settings: PromptSettings, knowledge: Knowledge = QUESTION_ALONE) -> Prompt:
    """Offer the numbered candidates, with their similarity to the subject of the question as evidence."""
    system = variant(settings.retrieval, VARIANTS, "retrieval")
    listed = question.listed
    if listed is None:
        return plain_prompt(question, TaskType.RETRIEVAL, system)
    labels = tuple(item.label for item in listed.items)
    texts = tuple(item.text for item in listed.items)
    kind, subject = _kind_and_subject(question, listed)
    evidence = knowledge.evidence(subject, texts)
    count = min(_COUNTED, len(labels))
    order = best_first(knowledge.combined(kind, evidence, len(labels)))
    best = ", ".join(labels[index] for index in order[:count])
    space = Selection(labels, count, texts if all(texts) else ())
    bare = without_form(without_list(listed))
    return Prompt(system, question.text, space, fallback=best, bare=bare, kind=kind, evidence=evidence)


def _kind_and_subject(question: Question, listed: NumberedList) -> tuple[str, str]:
    """Return the kind of question, and the text that the candidates are compared with."""
    if review := read_review(question):
        return "aspects", review
    if actions := read_actions(question):
        return "next_query", "\n".join(actions)
    told = listed.before.rstrip()
    of_products = PRODUCT.search(told[told.rfind("\n") + 1 :])
    if not of_products and (read_aspect(question) or question.says(REVIEW)):
        return "snippets", listed.before
    return "also_bought", read_product(question) or listed.before
