"""Adds exemplars before a question: fixed ones, and an earlier question of the run with its answer."""

from collections.abc import Sequence

from models.cooperation import Team
from models.item import Item
from models.scheduling.asking import Missing
from prompts.exemplars import Exemplar, Likeness, exemplar, fixed_exemplars, likeness, likest, with_exemplars
from prompts.external_information import token_estimate
from prompts.prompt import Prompt
from prompts.settings import PromptSettings
from utilities.task_type import TaskType

_QUESTION_SHARE = 0.75
"""The share of the token limit that question and examples may fill, because token counts are only estimates."""


class Exemplars:
    """Adds examples to prompts, and keeps the last answered question of each kind.

    It keeps one question for each grouping key, and none of more than `exemplar_tokens` tokens.
    """

    def __init__(self, settings: PromptSettings, team: Team) -> None:
        """Read the fixed examples if the settings ask for any.

        Raises:
            UserError: they cannot be read.
        """
        self._settings, self._team = settings, team
        self._fixed = fixed_exemplars(settings) if settings.exemplars else ()
        self._earlier: dict[Likeness, Exemplar] = {}

    def extend(self, items: Sequence[Item]) -> None:
        """Put as many examples before each question as there is room for."""
        for item in items:
            item.prompt = self._extended(item.question.text, item.task_type, item.prompt)

    def keep(self, items: Sequence[Item]) -> None:
        """Keep the questions that the model answered as examples for later batches."""
        for item in items:
            if isinstance(item.answer, Missing):
                continue
            made = exemplar(item.task_type, item.question, item.decision.text, self._settings)
            if made and made.tokens <= self._settings.exemplar_tokens:
                self._earlier[made.likeness] = made

    def _extended(self, question: str, task_type: TaskType, prompt: Prompt) -> Prompt:
        # An example that equals the question would reveal its answer.
        others = [each for each in self._fixed if each.question.strip() != question.strip()]
        examples = likest(others, task_type, prompt, self._settings.exemplars)
        earlier = self._earlier.get(likeness(task_type, prompt))
        if earlier and earlier.question.strip() != question.strip():
            examples = [*examples, earlier]
        return with_exemplars(prompt, examples, self._room(prompt)) if examples else prompt

    def _room(self, prompt: Prompt) -> int:
        most = int(_QUESTION_SHARE * self._team.settings_of(prompt).max_prompt_tokens)
        return min(self._settings.exemplar_tokens, most - token_estimate(prompt.system + prompt.user))
