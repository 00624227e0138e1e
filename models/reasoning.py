"""Chain of thought: a model writes reasoning for multiple-choice questions before they are asked, in limited time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from models.cooperation import Team, part_of, reasoning_model
from models.engines.interface import Answer
from models.item import Item
from models.scheduling.asking import Missing
from models.scheduling.clock import Allowance
from models.settings import Settings
from prompts.chain_of_thought import kind_of, reasoning_of, reasoning_prompt, with_reasoning
from prompts.prompt import Prompt


class Reasoning:
    """Lets the model of the settings, or a second model, write reasoning for some kinds of question."""

    def __init__(self, settings: Settings, team: Team) -> None:
        self._settings, self._team = settings.reasoning, team
        self._model = reasoning_model(settings)
        self.events: Counter[str] = Counter()
        """Questions without the reasoning that the settings ask for, counted by reason."""

    def extend(self, items: Sequence[Item], allowance: Allowance) -> None:
        """Add reasoning to prompts; a prompt whose reasoning did not arrive in time stays unchanged."""
        chosen = [item for item in items if self._wanted(item.prompt)]
        if not chosen:
            return
        asked = [self._asked(item.prompt) for item in chosen]
        found = self._team.answers(asked, part_of(allowance, self._settings.share))
        for item, answer in zip(chosen, found, strict=True):
            item.prompt = self._extended(item.prompt, answer)

    def _wanted(self, prompt: Prompt) -> bool:
        return kind_of(prompt) in self._settings.kinds

    def _asked(self, prompt: Prompt) -> Prompt:
        return replace(reasoning_prompt(prompt, self._settings.words), model=self._model)

    def _extended(self, prompt: Prompt, answer: Answer | Missing) -> Prompt:
        if isinstance(answer, Missing):
            return self._left_out(prompt, answer.reason)
        reasoning = reasoning_of(answer.text, self._settings.words)
        if not reasoning:
            return self._left_out(prompt, "nothing written")
        extended = with_reasoning(prompt, reasoning)
        return extended if extended is not prompt else self._left_out(prompt, "taken for the options")

    def _left_out(self, prompt: Prompt, reason: str) -> Prompt:
        self.events[f"questions without reasoning: {reason}"] += 1
        return prompt
