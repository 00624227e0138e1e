"""Named entity recognition: the prompt offers the phrases of a query."""

from collections.abc import Mapping

from prompts.phrases import phrases
from prompts.plain import plain_prompt
from prompts.prompt import ASSISTANT, Prompt, Spans, variant
from prompts.reading import Question, read_entity_type, read_last_text, read_lone_line, read_query, read_source_text
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE, Knowledge
from utilities.task_type import TaskType

VARIANTS: Mapping[str, str] = {
    "base": ASSISTANT,
    "linguist": f"{ASSISTANT} You are a linguist too: answer with words of the query only.",
}

_MOST_WORDS = 5
_MOST_PHRASES = 3


def build(question: Question, settings: PromptSettings, _knowledge: Knowledge = QUESTION_ALONE) -> Prompt:
    """Offer the phrases of the query, or free text if the query cannot be read."""
    system = variant(settings.named_entity_recognition, VARIANTS, "named_entity_recognition")
    source = read_last_text(question) or read_query(question) or read_source_text(question) or read_lone_line(question)
    space = Spans(source, _MOST_PHRASES, _MOST_WORDS) if source and source.strip() else None
    candidates = phrases(space) if space else []
    if space is None or not candidates:
        return plain_prompt(question, TaskType.NAMED_ENTITY_RECOGNITION, system)
    return Prompt(
        system,
        question.text,
        space,
        fallback=_longest(candidates),
        bare=f"Query: {source}",
        cue=f"The {read_entity_type(question) or 'entity'} in the query is",
        neutral_cue="The phrase in the query is",
        as_statement=True,
    )


def _longest(candidates: list[str]) -> str:
    """Return the longest phrase of one or two words: most entities are that short."""
    return max((phrase for phrase in candidates if len(phrase.split()) <= 2), key=len)
