"""Exemplars: questions with their answers, shown in the prompt before the question to be answered.

Few-shot prompting after Brown et al. (2020), "Language Models are Few-Shot Learners".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prompts.external_information import token_estimate
from prompts.prompt import Choice, Prompt, Selection, Spans, admits
from prompts.reading import Question
from prompts.reading.lists import without_marker
from prompts.registry import BUILDERS
from prompts.sections import EXAMPLE, QUESTION, keeps_list
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE
from utilities.errors import UserError
from utilities.task_type import TaskType
from utilities.typed_yaml import build, checked, read_mapping

FILE = Path(__file__).with_suffix(".yaml")
_CUE = "Answer:"

Likeness = tuple[TaskType, type, str, str]
"""Grouping key of similar questions: task type, answer space, kind, and system message."""


@dataclass(frozen=True)
class Exemplar:
    """A question with its prompt, built without evidence, and its answer."""

    task_type: TaskType
    question: str
    prompt: Prompt
    answer: str

    @property
    def likeness(self) -> Likeness:
        """The grouping key of the questions that may show this exemplar."""
        return likeness(self.task_type, self.prompt)

    @property
    def user(self) -> str:
        """Question and answer for a prompt that shows the whole question."""
        return f"{without_marker(self.prompt.user)}\n{self.prompt.cue or _CUE} {self.answer}"

    @property
    def bare(self) -> str:
        """Question and answer for a prompt whose option texts are scored; empty for other prompts."""
        text = _text_of(self.prompt, self.answer)
        return f"{self.prompt.bare.strip()}\n{self.prompt.cue} {text}" if self.prompt.bare and text else ""

    @property
    def tokens(self) -> int:
        """An estimate of its tokens in a prompt."""
        return token_estimate(f"{EXAMPLE}\n{self.user}\n\n")


@checked
class _Written:
    question: str
    answer: str


@checked
class _File:
    """The fixed examples of every task type."""

    multiple_choice: tuple[_Written, ...]
    retrieval: tuple[_Written, ...]
    ranking: tuple[_Written, ...]
    generation: tuple[_Written, ...]
    named_entity_recognition: tuple[_Written, ...]


def likeness(task_type: TaskType, prompt: Prompt) -> Likeness:
    """Return the grouping key of a prompt's question."""
    return task_type, type(prompt.space), prompt.kind, prompt.system


def exemplar(task_type: TaskType, question: Question, answer: str, settings: PromptSettings) -> Exemplar | None:
    """Return a question with an answer as an exemplar; None where its answer space lacks the answer."""
    prompt = BUILDERS[task_type](question, replace(settings, external_information=0), QUESTION_ALONE)
    return Exemplar(task_type, question.text, prompt, answer) if admits(prompt.space, answer) else None


def fixed_exemplars(settings: PromptSettings, path: Path = FILE) -> tuple[Exemplar, ...]:
    """Read the fixed examples of all task types, in the order of the file.

    Raises:
        UserError: the file cannot be read, or an answer lies outside its question's answer space.
    """
    written = build(_File, read_mapping(path, "the examples", "restore the file"), f"{path}: ", "task type")
    found = []
    for task_type in TaskType:
        name = task_type.name.lower()
        for index, each in enumerate(getattr(written, name)):
            made = exemplar(task_type, Question(each.question), each.answer, settings)
            if made is None:
                raise UserError(
                    f"{path}: {name}[{index}].answer is {each.answer!r}, which is outside its question's answer space"
                )
            found.append(made)
    return tuple(found)


def likest(exemplars: Sequence[Exemplar], task_type: TaskType, prompt: Prompt, count: int) -> list[Exemplar]:
    """Return up to `count` exemplars of the same task type and answer space, those of the same kind first."""
    wanted = likeness(task_type, prompt)
    alike = [each for each in exemplars if each.likeness[:2] == wanted[:2]]
    return sorted(alike, key=lambda each: (each.likeness[2] != wanted[2], each.likeness[3] != wanted[3]))[:count]


def with_exemplars(prompt: Prompt, exemplars: Sequence[Exemplar], room: int) -> Prompt:
    """Return the prompt with as many exemplars before its question as fit into about `room` tokens.

    The answer space stays the same. If an exemplar's list could pass for the question's, the prompt stays unchanged.
    """
    shown = _fitting(exemplars, room)
    if not shown:
        return prompt
    user = _marked([each.user for each in shown], prompt.user)
    if not keeps_list(prompt, user, begins=len(user) - len(prompt.user)):
        return prompt
    return replace(prompt, user=user, bare=_bare(prompt, [each.bare for each in shown if each.bare]))


def _fitting(exemplars: Sequence[Exemplar], room: int) -> list[Exemplar]:
    kept = []
    for each in exemplars:
        if each.tokens <= room:
            kept.append(each)
            room -= each.tokens
    return kept


def _marked(examples: Sequence[str], question: str) -> str:
    head = "" if question.startswith(QUESTION) else f"{QUESTION}\n"
    return "".join(f"{EXAMPLE}\n{example}\n\n" for example in examples) + head + question


def _bare(prompt: Prompt, examples: Sequence[str]) -> str:
    if not prompt.bare or not examples:
        return prompt.bare
    return "\n\n".join((*examples, prompt.bare)) if prompt.as_statement else _marked(examples, prompt.bare)


def _text_of(prompt: Prompt, answer: str) -> str:
    """Return the text of the answer's first label or phrase; empty for free text."""
    first = answer.partition(",")[0].strip()
    if isinstance(prompt.space, Choice | Selection) and prompt.space.texts:
        return prompt.space.texts[prompt.space.labels.index(first)]
    return first if isinstance(prompt.space, Spans) else ""
