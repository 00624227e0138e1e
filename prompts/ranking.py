"""Ranking: the prompt asks for all candidates of a query, most relevant first, and shows evidence."""

from collections.abc import Mapping

from prompts.external_information import external_blocks, with_external_information
from prompts.plain import plain_prompt
from prompts.prompt import ASSISTANT, PREVIOUS_KNOWLEDGE, Prompt, Selection, variant
from prompts.reading import Question, read_query
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE, Knowledge
from retrieval.lexical import best_first
from utilities.task_type import TaskType

_TASK = (
    "A re-ranking task orders the given products again, so that the one most relevant to the query comes first "
    "and the least relevant one comes last."
)
_KIND = "ranking"
_KNOWING = f"{ASSISTANT} {PREVIOUS_KNOWLEDGE}"
VARIANTS: Mapping[str, str] = {
    "base": ASSISTANT,
    "previous_knowledge": _KNOWING,
    "task_explained": f"{_KNOWING} {_TASK}",
    "only_results": f"{_KNOWING} {_TASK} Only respond with the ranking results.",
}


def build(question: Question, settings: PromptSettings, knowledge: Knowledge = QUESTION_ALONE) -> Prompt:
    """Offer the permutations of the candidates, and show evidence before the output instruction."""
    system = variant(settings.ranking, VARIANTS, "ranking")
    listed = question.listed
    if listed is None:
        return plain_prompt(question, TaskType.RANKING, system)
    labels = tuple(item.label for item in listed.items)
    texts = tuple(item.text for item in listed.items)
    query = read_query(question) or listed.before
    related = knowledge.related(query)
    evidence = knowledge.evidence(query, texts, related)
    order = best_first(knowledge.combined(_KIND, evidence, len(labels)))
    best = [texts[index] for index in order[: settings.external_information]] if evidence else []
    blocks = external_blocks(query, related, best, settings.external_tokens)
    return Prompt(
        system,
        with_external_information(question.text, listed, blocks),
        Selection(labels, len(labels), texts if all(texts) else ()),
        fallback=", ".join(labels[index] for index in order),
        bare=f"A customer searches an online shop for: {query}",
        cue="The product that fits best is:",
        as_statement=True,
        kind=_KIND,
        evidence=evidence,
    )
