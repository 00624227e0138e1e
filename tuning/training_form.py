"""Turns a question with its right answer into the package's own prompt, and the gain of each possible answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.questions import QuestionRow
from prompts.detection import detect_task_type
from prompts.phrases import phrases
from prompts.prompt import Choice, Prompt, Selection, Spans
from prompts.reading import Question
from prompts.registry import BUILDERS
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE
from utilities.task_type import TaskType


@dataclass(frozen=True)
class TrainingForm:
    """A prompt and its right answer.

    Attributes:
        prompt: the text that the model reads, and the space of its answers.
        gains: the worth of each label, in the order of the space; empty for phrases and text.
        texts: the right phrases as the source has them, or the one right text; empty for labels.
    """

    prompt: Prompt
    gains: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()


def training_form(question: QuestionRow, settings: PromptSettings) -> TrainingForm | str:
    """Return the training form of a row, or the reason why the row cannot be used."""
    asked = Question(question.input_field)
    detected = detect_task_type(asked, question.is_multiple_choice)
    if detected is not question.task_type:
        return f"read as {detected}"
    prompt = BUILDERS[detected](asked, settings, QUESTION_ALONE)
    space, truth = prompt.space, _strings(question.output_field)
    if isinstance(space, Choice | Selection):
        gains = candidate_gains(space, question.output_field, ranked=detected is TaskType.RANKING)
        complete = detected is TaskType.RANKING or sum(gains) == len(set(truth))
        return TrainingForm(prompt, gains) if gains and complete else "answer outside the options"
    if isinstance(space, Spans):
        found = _right_phrases(space, truth)
        return TrainingForm(prompt, texts=found) if found else "answer not in the text"
    text = ", ".join(truth).strip()
    return TrainingForm(prompt, texts=(text,)) if text else "empty answer"


def candidate_gains(space: Choice | Selection, reference: object, *, ranked: bool) -> tuple[float, ...]:
    """Return the worth of each candidate by a reference; empty if no candidate is worth anything.

    The reference of a ranking holds the gain of each candidate, any other the labels of the right ones.
    """
    if ranked:
        gains = tuple(map(float, reference)) if isinstance(reference, list) else ()
        return gains if len(gains) == len(space.labels) and any(gains) else ()
    right = set(_strings(reference))
    gains = tuple(float(label in right) for label in space.labels)
    return gains if any(gains) else ()


def _strings(reference: object) -> list[str]:
    return [str(each) for each in reference] if isinstance(reference, list) else [str(reference)]


def _right_phrases(space: Spans, right: Sequence[str]) -> tuple[str, ...]:
    wanted = {" ".join(text.lower().split()) for text in right}
    return tuple(phrase for phrase in phrases(space) if " ".join(phrase.lower().split()) in wanted)
