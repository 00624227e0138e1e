"""The prompt for a question that cannot be parsed: its unchanged text, with the usual answers of its task type."""

from collections.abc import Mapping

from prompts.prompt import ASSISTANT, AnswerSpace, Choice, Prompt, Selection, Text
from prompts.reading import Question
from utilities.task_type import TaskType


def _numbers(first: int, last: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(first, last + 1))


_SPACES: Mapping[TaskType, AnswerSpace] = {
    TaskType.MULTIPLE_CHOICE: Choice(_numbers(0, 3)),
    TaskType.RETRIEVAL: Selection(_numbers(1, 10), 3),
    TaskType.RANKING: Selection(_numbers(1, 5), 5),
    TaskType.NAMED_ENTITY_RECOGNITION: Text(max_words=5),
    TaskType.GENERATION: Text(max_words=40),
}
_FALLBACKS: Mapping[TaskType, str] = {
    TaskType.MULTIPLE_CHOICE: "0",
    TaskType.RETRIEVAL: "1, 2, 3",
    TaskType.RANKING: "1, 2, 3, 4, 5",
    TaskType.NAMED_ENTITY_RECOGNITION: "none",
    TaskType.GENERATION: "No information is available.",
}


def plain_prompt(question: Question, task_type: TaskType, system: str = ASSISTANT) -> Prompt:
    """Ask the question with its text unchanged."""
    cue = "" if isinstance(_SPACES[task_type], Text) else "Answer:"
    return Prompt(system, question.text, _SPACES[task_type], fallback=_FALLBACKS[task_type], cue=cue)
