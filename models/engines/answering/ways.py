"""The ways to answer: which of them a prompt's answer space and the settings call for."""

from models.engines.settings import EngineSettings
from prompts.answer_space import AnswerSpace, Choice, Selection, Spans

LABEL, TEXT, PMI, DECODE, SPANS, COPY, WRITE = "label", "text", "pmi", "decode", "spans", "copy", "write"
_NEED_TEXTS = (TEXT, PMI)


def way_of(space: AnswerSpace, settings: EngineSettings) -> str:
    """Return how the settings have a prompt with this answer space answered.

    Options without texts, such as the steps of a rating, can only be told by their numbers.
    """
    if isinstance(space, Choice | Selection):
        way = settings.choice if isinstance(space, Choice) else settings.selection
        return LABEL if way in _NEED_TEXTS and not space.texts else way
    if isinstance(space, Spans):
        return COPY if settings.spans == WRITE else SPANS
    return WRITE
