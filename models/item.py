"""The state of one question in a batch: text, task type, prompt, model's answer and decision."""

from dataclasses import dataclass

from models.engines.interface import Answer
from models.scheduling.asking import Missing
from prompts.prompt import Choice, Prompt, Selection, admits, best_labels
from prompts.reading import Question
from retrieval.knowledge import MODEL, Combiner
from utilities.task_type import TaskType

_NOT_ASKED = Missing("not asked")


@dataclass(frozen=True)
class Decision:
    """The answer that is returned for a question.

    Attributes:
        text: a member of the answer space.
        scores: the score of each label that decided, empty where no scores did.
        fallback: why the model's answer was not used; empty where it was.
    """

    text: str
    scores: tuple[float, ...] = ()
    fallback: str = ""


@dataclass
class Item:
    """One question of a batch; each step of the model fills in its part.

    Attributes:
        question: the question as it was read.
        task_type: the detected task type.
        prompt: the prompt that was built of it.
        answer: the engine's answer, or the reason why it is missing.
        decision: the answer that is returned.
    """

    question: Question
    task_type: TaskType
    prompt: Prompt
    answer: Answer | Missing = _NOT_ASKED
    decision: Decision = Decision("")


def decide(prompt: Prompt, answer: Answer | Missing, combiner: Combiner) -> Decision:
    """Decide the answer: combine the model's label scores with the evidence, else take the engine's answer.

    A decoded answer has no scores and is taken as it is. The fallback replaces a missing answer and an answer outside
    the space.
    """
    if isinstance(answer, Missing):
        return Decision(prompt.fallback, fallback=answer.reason)
    text, scores = answer.text, tuple(answer.scores)
    if scores and prompt.evidence:
        scores = combiner.combine(prompt.kind, {**prompt.evidence, MODEL: scores})
        if isinstance(prompt.space, Choice | Selection):
            text = best_labels(prompt.space, scores)
    if admits(prompt.space, text):
        return Decision(text, scores)
    return Decision(prompt.fallback, scores, "answer outside its space")
