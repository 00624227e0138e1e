"""From a batch of questions to a batch of answers: detect, retrieve, prompt, reason, engine, answer."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from models.base_model import ShopBenchBaseModel
from models.cooperation import Answerer, Team, identities
from models.decision import fused_answer
from models.engines.interface import Answer, Engine
from models.engines.settings import engine_identity
from models.example_memory import Exemplars
from models.failures import FailureLog
from models.reasoning import Reasoning
from models.scheduling.asking import Missing
from models.scheduling.clock import Allowance, Clock, ClockSettings
from models.settings import Settings, load_settings
from models.trace import Trace
from prompts.answer_space import admits
from prompts.clipping import clipped
from prompts.detection import detect_task_type
from prompts.plain import plain_prompt
from prompts.prompt import Prompt
from prompts.registry import BUILDERS
from prompts.settings import PromptSettings
from retrieval.fusion import Combiner
from retrieval.knowledge import QUESTION_ALONE, Knowledge
from retrieval.sources import combiner_for, open_knowledge
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.task_type import TaskType
from utilities.tracks import TRACKS, track_of

_LOG = logging.getLogger("shopalign")
_EVIDENCE_SHARE = 0.2
"""Of a batch's seconds, what evidence may take; later questions get what takes no time."""


class ShopBenchModel(ShopBenchBaseModel):
    """Answers ShopBench questions; nothing that goes wrong reaches the evaluator."""

    def __init__(self, settings: Settings | None = None, engine: Engine | None = None) -> None:
        """Load settings, engine and knowledge.

        Raises:
            UserError: a setting is wrong, or weights are missing.
        """
        self.settings = settings or load_settings()
        check_variants(self.settings.prompts)
        self._clock = Clock(self.settings.clock, track_minutes(self.settings.clock))
        # The engine loads in a process of its own, and the vectors in this one meanwhile.
        with ThreadPoolExecutor(1) as beside:
            knowledge = beside.submit(open_knowledge, self.settings.knowledge, engine_identity(self.settings.engine))
            self._team = Team(self.settings, engine)
            self._knowledge = knowledge.result()
        self._combiners = self._fitted()
        self._reasoning = Reasoning(self.settings, self._team)
        self._exemplars = Exemplars(self.settings.prompts, self._team)
        self._clock.loaded()
        self._failures = FailureLog()
        self.trace: Trace | None = None

    @property
    def fallbacks(self) -> Mapping[str, int]:
        """Questions that something failed for, by reason; without a failure it is empty."""
        return self._failures.counts

    @property
    def events(self) -> Mapping[str, int]:
        """What happened on the way, by kind: engines lost and restarted, work cut or added to fit the time."""
        return dict(self._team.events + self._knowledge.events + self._reasoning.events)

    def describe(self) -> dict[str, object]:
        """Return settings, engine and its speed, for the record beside the scores."""
        return {
            "settings": asdict(self.settings),
            **self._team.describe(),
            "catalogue": self._knowledge.catalogue,
        }

    def get_batch_size(self) -> int:
        """Return the batch size of the settings, 1 to 16."""
        return self.settings.batch_size

    def batch_predict(self, batch: Mapping[str, Sequence[str]], is_multiple_choice: bool) -> list[str]:
        """Answer `batch["prompt"]`: one string a prompt, in order, whatever happens."""
        allowance = self._clock.open(len(batch["prompt"]))
        questions = [clipped(question) for question in batch["prompt"]]
        task_types = [self._task_type(question, is_multiple_choice) for question in questions]
        built = [self._prompt(*pair, allowance) for pair in zip(questions, task_types, strict=True)]
        prompts = self._extended(questions, task_types, built, allowance)
        answers = self._answers(prompts, allowance)
        settled = [self._settled(*each) for each in zip(prompts, answers, strict=True)]
        self._keep(questions, task_types, answers, settled)
        if self.trace is not None:
            asked = zip(task_types, prompts, answers, strict=True)
            seconds = self._clock.since(allowance)
            self.trace.add(asked, self._team.settings_of, self._combiner, self._team.usage(), seconds)
        self._clock.close(len(questions), allowance)
        return settled

    def _fitted(self) -> dict[Answerer, Combiner]:
        """Return what combines the scores of each model and adapter with evidence."""
        found: dict[Answerer, Combiner] = {("", None): self._knowledge.combiner}
        for answerer, identity in identities(self.settings).items():
            if answerer not in found:
                found[answerer] = combiner_for(self.settings.knowledge, identity, self._knowledge.events)
        return found

    def _combiner(self, prompt: Prompt) -> Combiner:
        return self._combiners[prompt.model, prompt.adapter]

    def _task_type(self, question: str, is_multiple_choice: bool) -> TaskType:
        try:
            return detect_task_type(question, is_multiple_choice)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            self._failures.add("task type not detected", 1, error)
            return TaskType.MULTIPLE_CHOICE if is_multiple_choice else TaskType.GENERATION

    def _prompt(self, question: str, task_type: TaskType, allowance: Allowance) -> Prompt:
        try:
            prompt = BUILDERS[task_type](question, self.settings.prompts, self._knowledge_in_time(allowance))
            return self._team.assigned(prompt, task_type)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            self._failures.add("prompt not built", 1, error)
            return plain_prompt(question, task_type)

    def _extended(
        self, questions: Sequence[str], task_types: Sequence[TaskType], built: Sequence[Prompt], allowance: Allowance
    ) -> Sequence[Prompt]:
        """Return the prompts with the reasoning and the examples that the settings ask for."""
        prompts = built
        try:
            prompts = self._reasoning.added(built, allowance)
            return self._exemplars.added(questions, task_types, prompts)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            self._failures.add("prompt not extended", len(built), error)
            return prompts

    def _keep(
        self,
        questions: Sequence[str],
        task_types: Sequence[TaskType],
        answers: Sequence[Answer | Missing],
        settled: Sequence[str],
    ) -> None:
        try:
            self._exemplars.keep(questions, task_types, answers, settled)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            self._failures.add("answers not kept as examples", len(questions), error)

    def _knowledge_in_time(self, allowance: Allowance) -> Knowledge:
        if self._clock.since(allowance) < _EVIDENCE_SHARE * allowance.seconds:
            return self._knowledge
        self._knowledge.events["questions whose evidence was cut for time"] += 1
        return self._knowledge.by_words()

    def _answers(self, prompts: Sequence[Prompt], allowance: Allowance) -> Sequence[Answer | Missing]:
        try:
            return self._team.answers(prompts, allowance)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            _LOG.warning("asking failed: %s: %s", type(error).__name__, error)
            return [Missing("asking failed")] * len(prompts)

    def _settled(self, prompt: Prompt, answer: Answer | Missing) -> str:
        if isinstance(answer, Missing):
            self._failures.add(answer.reason, 1)
            return prompt.fallback
        try:
            text = fused_answer(prompt, answer, self._combiner(prompt))
            if admits(prompt.space, text):
                return text
            self._failures.add("answer outside its space", 1)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            self._failures.add("answer not read", 1, error)
        return prompt.fallback


def check_variants(settings: PromptSettings) -> None:
    """Build one prompt a task type, so that a misspelt variant is reported at the start.

    Raises:
        UserError: a variant does not exist.
    """
    for build in BUILDERS.values():
        build("", settings, QUESTION_ALONE)


def track_minutes(settings: ClockSettings) -> float:
    """Return the track's time: that of the settings, else that of the track that aicrowd.json names."""
    if settings.minutes:
        return settings.minutes
    try:
        return track_of(ROOT / "aicrowd.json").minutes
    except UserError as error:
        _LOG.warning("the shortest track's time is kept to: %s", error)
        return min(track.minutes for track in TRACKS)
