"""Ranking: all candidates of a query, most relevant first, with BM25 evidence put into the prompt."""

from collections.abc import Mapping, Sequence

from prompts.answer_space import Selection
from prompts.plain import plain_prompt
from prompts.prompt import Prompt
from prompts.reading import NumberedList, read_numbered_list, read_query
from prompts.settings import PromptSettings
from prompts.task_type import TaskType
from prompts.wording import ASSISTANT, PREVIOUS_KNOWLEDGE, variant
from utilities.retrieval import best_first, relevance

_TASK = (
    "A re-ranking task orders the given products again, so that the one most relevant to the query comes first "
    "and the least relevant one comes last."
)
_KNOWING = f"{ASSISTANT} {PREVIOUS_KNOWLEDGE}"
VARIANTS: Mapping[str, str] = {
    "base": ASSISTANT,
    "previous_knowledge": _KNOWING,
    "task_explained": f"{_KNOWING} {_TASK}",
    "only_results": f"{_KNOWING} {_TASK} Only respond with the ranking results.",
}


def build(question: str, settings: PromptSettings) -> Prompt:
    """Offer the permutations of the candidates; show the best of them by BM25 before the output instruction."""
    system = variant(settings.ranking, VARIANTS, "ranking")
    listed = read_numbered_list(question)
    if listed is None:
        return plain_prompt(question, TaskType.RANKING, system)
    labels = tuple(item.label for item in listed.items)
    texts = tuple(item.text for item in listed.items)
    query = read_query(question) or listed.before
    evidence = relevance(query, texts)
    order = best_first(evidence)
    user = question
    if settings.external_information and any(evidence):
        user = with_external_information(question, listed, [texts[i] for i in order[: settings.external_information]])
    return Prompt(
        system,
        user,
        Selection(labels, len(labels), texts if all(texts) else ()),
        fallback=", ".join(labels[index] for index in order),
        bare=f"A customer searches an online shop for: {query}",
        cue="The product that fits best is:",
        as_statement=True,
        evidence=evidence,
    )


def with_external_information(question: str, listed: NumberedList, best: Sequence[str]) -> str:
    """Put the best candidates between the question's list and its output instruction."""
    at = len(question) - len(listed.after)
    lines = "\n".join(best)
    block = (
        "\n[External information]\nThe following items are very important and have a strong relevance to the query "
        f"and ranked by relevance:\n{lines}\n"
    )
    return question[:at].rstrip() + block + question[at:].lstrip("\n")
