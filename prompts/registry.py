"""The prompt builder of each task type, and the check of the variants that settings name."""

from collections.abc import Callable, Mapping

from prompts import generation, multiple_choice, named_entity_recognition, ranking, retrieval
from prompts.prompt import Prompt
from prompts.reading import Question
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE, Knowledge
from utilities.task_type import TaskType

BUILDERS: Mapping[TaskType, Callable[[Question, PromptSettings, Knowledge], Prompt]] = {
    TaskType.MULTIPLE_CHOICE: multiple_choice.build,
    TaskType.RETRIEVAL: retrieval.build,
    TaskType.RANKING: ranking.build,
    TaskType.GENERATION: generation.build,
    TaskType.NAMED_ENTITY_RECOGNITION: named_entity_recognition.build,
}


def check_variants(settings: PromptSettings) -> None:
    """Build one prompt for each task type, so that a misspelt variant is reported at the start.

    Raises:
        UserError: a variant does not exist.
    """
    for build in BUILDERS.values():
        build(Question(""), settings, QUESTION_ALONE)
