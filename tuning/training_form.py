"""A question with its right answer as what a model is trained on: the package's own prompt and answer space."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.questions import QuestionRow
from prompts.answer_space import Choice, Selection, Spans
from prompts.detection import detect_task_type
from prompts.phrases import phrases
from prompts.prompt import Prompt
from prompts.reading import Question
from prompts.registry import BUILDERS
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE
from utilities.task_type import TaskType


@dataclass(frozen=True)
class TrainingForm:
    """A prompt and what is right.

    Attributes:
        prompt: what the model is shown, and what may be answered.
        gains: what each label is worth, in the order of the space; empty for phrases and text.
        texts: the right phrases as they stand in the source, or the one right text; empty for labels.
    """

    prompt: Prompt
    gains: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()


def training_form(question: QuestionRow, settings: PromptSettings) -> TrainingForm | str:
    """Return what is trained on, or in a few words why the row cannot be used."""
    detected = detect_task_type(Question(question.input_field), question.is_multiple_choice)
    if detected is not question.task_type:
        return f"read as {detected}"
    prompt = BUILDERS[detected](Question(question.input_field), settings, QUESTION_ALONE)
    space, truth = prompt.space, question.output_field
    if isinstance(space, Choice | Selection):
        gains = _gains(space, truth, question.task_type)
        return TrainingForm(prompt, gains) if gains else "answer outside the options"
    if isinstance(space, Spans):
        found = _right_phrases(space, _strings(truth))
        return TrainingForm(prompt, texts=found) if found else "answer not in the text"
    text = ", ".join(_strings(truth)).strip()
    return TrainingForm(prompt, texts=(text,)) if text else "empty answer"


def _gains(space: Choice | Selection, truth: object, task_type: TaskType) -> tuple[float, ...]:
    if task_type is TaskType.RANKING:
        weights = tuple(map(float, truth)) if isinstance(truth, list) else ()
        return weights if len(weights) == len(space.labels) and any(weights) else ()
    right = {str(each) for each in truth} if isinstance(truth, list) else {str(truth)}
    gains = tuple(float(label in right) for label in space.labels)
    return gains if sum(gains) == len(right) else ()


def _strings(truth: object) -> list[str]:
    return [str(each) for each in truth] if isinstance(truth, list) else [str(truth)]


def _right_phrases(space: Spans, right: Sequence[str]) -> tuple[str, ...]:
    wanted = {" ".join(text.lower().split()) for text in right}
    return tuple(phrase for phrase in phrases(space) if " ".join(phrase.lower().split()) in wanted)
