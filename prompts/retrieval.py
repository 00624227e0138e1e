"""Retrieval: the three candidates that fit best, out of a numbered list."""

from collections.abc import Mapping

from prompts.answer_space import Selection
from prompts.plain import plain_prompt
from prompts.prompt import Prompt
from prompts.reading import read_actions, read_numbered_list, read_product, read_review
from prompts.settings import PromptSettings
from prompts.statement import without_form, without_list
from prompts.task_type import TaskType
from prompts.wording import ASSISTANT, PREVIOUS_KNOWLEDGE, variant
from utilities.retrieval import best_first, relevance

_EXPERT = "You are a product retrieval expert. You help consumers to find the products that meet their specific needs."
VARIANTS: Mapping[str, str] = {
    "base": ASSISTANT,
    "expert": _EXPERT,
    "previous_knowledge": f"{_EXPERT} {PREVIOUS_KNOWLEDGE}",
    "short_role": f"You are a product retrieval expert. {PREVIOUS_KNOWLEDGE[:-1]} as clearly as possible.",
}

_COUNTED = 3  # hit rate@3 looks at the first three numbers: fewer waste a place, whatever the question asks for


def build(question: str, settings: PromptSettings) -> Prompt:
    """Offer the numbered candidates, with lexical relevance to the rest of the question as evidence."""
    system = variant(settings.retrieval, VARIANTS, "retrieval")
    listed = read_numbered_list(question)
    if listed is None:
        return plain_prompt(question, TaskType.RETRIEVAL, system)
    labels = tuple(item.label for item in listed.items)
    texts = tuple(item.text for item in listed.items)
    evidence = relevance(_subject(question, listed.before), texts)
    count = min(_COUNTED, len(labels))
    best = ", ".join(labels[index] for index in best_first(evidence)[:count])
    space = Selection(labels, count, texts if all(texts) else ())
    return Prompt(system, question, space, fallback=best, bare=without_form(without_list(listed)), evidence=evidence)


def _subject(question: str, before: str) -> str:
    """Return what the candidates are compared with: a review, a session, a product, else all that stands before."""
    return read_review(question) or "\n".join(read_actions(question)) or read_product(question) or before
