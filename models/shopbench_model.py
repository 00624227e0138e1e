"""Answers a batch of questions in six steps: detect, retrieve, prompt, reason, ask, decide."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from models.base_model import ShopBenchBaseModel
from models.cooperation import Answerer, Team, check_engines, identities
from models.engines.interface import Engine
from models.engines.settings import engine_identity
from models.example_memory import Exemplars
from models.item import Decision, Item, decide
from models.reasoning import Reasoning
from models.scheduling.asking import Missing
from models.scheduling.clock import Allowance, Clock, ClockSettings, PatientClock
from models.settings import NO_REASONING, Settings, load_settings
from models.trace import Trace
from prompts.detection import detect_task_type
from prompts.plain import plain_prompt
from prompts.prompt import Prompt
from prompts.reading import Question
from prompts.registry import BUILDERS
from retrieval.knowledge import Combiner, Knowledge
from retrieval.sources import combiner_for, open_knowledge
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.task_type import TaskType
from utilities.tracks import TRACKS, track_of

_LOG = logging.getLogger("shopalign")
_EVIDENCE_SHARE = 0.2
"""The share of a batch's seconds for evidence; later questions of the batch get the fast sources only."""


class ShopBenchModel(ShopBenchBaseModel):
    """Answers ShopBench questions; no failure reaches the evaluator."""

    def __init__(self, settings: Settings | None = None, engine: Engine | None = None) -> None:
        """Load settings, engine and knowledge.

        Raises:
            UserError: a setting is invalid, or weights are missing or damaged.
        """
        self.settings = settings or load_settings()
        check_engines(self.settings, engine)
        self._clock: Clock = Clock(self.settings.clock, track_minutes(self.settings.clock))
        # The engine loads in its own process, and the vectors in this process at the same time.
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
        """Number of questions for each reason of failure; empty without a failure."""
        return self._failures.counts

    @property
    def events(self) -> Mapping[str, int]:
        """Number of events by kind: engines lost and restarted, work reduced or added to fit the time."""
        return dict(self._team.events + self._knowledge.events + self._reasoning.events)

    def describe(self) -> dict[str, object]:
        """Return settings, engine and speed for the record of a run."""
        return {
            "settings": asdict(self.settings),
            **self._team.describe(),
            "catalogue": self._knowledge.catalogue,
        }

    def lift_limits(self) -> None:
        """Answer from now on without the evaluator's time limits; an engine that hangs is still ended."""
        self._clock = PatientClock()

    def get_batch_size(self) -> int:
        """Return the batch size of the settings, 1 to 16."""
        return self.settings.batch_size

    def batch_predict(self, batch: Mapping[str, Sequence[str]], is_multiple_choice: bool) -> list[str]:
        """Answer every prompt of the batch: one string for each, in order, whatever happens."""
        texts = self._texts(batch)
        if not texts:
            return []
        allowance = self._clock.open(len(texts))
        items = [self._item(Question(text), is_multiple_choice, allowance) for text in texts]
        self._extend(items, allowance)
        self._ask(items, allowance)
        for item in items:
            item.decision = self._decided(item)
        self._keep(items)
        if self.trace is not None:
            seconds = self._clock.since(allowance)
            self.trace.add(items, self._team.settings_of, self._team.usage(), seconds)
        self._clock.close(len(items), allowance)
        self._failures.log_batch(len(items))
        return [item.decision.text for item in items]

    def _texts(self, batch: object) -> list[str]:
        """Return the prompts of a batch as texts; prompts that are no text and batches without prompts are counted."""
        prompts = batch.get("prompt") if isinstance(batch, Mapping) else None
        if isinstance(prompts, str) or not isinstance(prompts, Iterable):
            self._failures.add("batch without a list of prompts", 1)
            self._failures.log_batch(1)
            prompts = [prompts] if isinstance(prompts, str) else []
        given = list(prompts)
        odd = sum(not isinstance(prompt, str) for prompt in given)
        if odd:
            self._failures.add("prompt is no text", odd)
        return [_as_text(prompt) for prompt in given]

    def _fitted(self) -> dict[Answerer, Combiner]:
        """Return the combiner of scores and evidence for each model and adapter."""
        found: dict[Answerer, Combiner] = {("", None): self._knowledge.combiner}
        for answerer, identity in identities(self.settings).items():
            if answerer not in found:
                found[answerer] = combiner_for(self.settings.knowledge, identity, self._knowledge.events)
        return found

    def _item(self, question: Question, is_multiple_choice: bool, allowance: Allowance) -> Item:
        task_type = self._task_type(question, is_multiple_choice)
        return Item(question, task_type, self._prompt(question, task_type, allowance))

    def _task_type(self, question: Question, is_multiple_choice: bool) -> TaskType:
        try:
            return detect_task_type(question, is_multiple_choice)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            self._failures.add("task type not detected", 1, error)
            return TaskType.MULTIPLE_CHOICE if is_multiple_choice else TaskType.GENERATION

    def _prompt(self, question: Question, task_type: TaskType, allowance: Allowance) -> Prompt:
        try:
            prompt = BUILDERS[task_type](question, self.settings.prompts, self._knowledge_in_time(allowance))
            return self._team.assigned(prompt, task_type)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            self._failures.add("prompt not built", 1, error)
            return plain_prompt(question, task_type)

    def _knowledge_in_time(self, allowance: Allowance) -> Knowledge:
        if self._clock.since(allowance) < _EVIDENCE_SHARE * allowance.seconds:
            return self._knowledge
        self._knowledge.events["questions whose evidence was cut for time"] += 1
        return self._knowledge.by_words()

    def _extend(self, items: Sequence[Item], allowance: Allowance) -> None:
        """Add the reasoning and the examples that the settings ask for to the prompts."""
        try:
            if self.settings.reasoning.source != NO_REASONING:
                self._reasoning.extend(items, allowance)
            if self.settings.prompts.exemplars or self.settings.prompts.dynamic_exemplars:
                self._exemplars.extend(items)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            self._failures.add("prompt not extended", len(items), error)

    def _ask(self, items: Sequence[Item], allowance: Allowance) -> None:
        try:
            answers = self._team.answers([item.prompt for item in items], allowance)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            _LOG.warning("asking failed: %s: %s", type(error).__name__, error)
            answers = [Missing("asking failed")] * len(items)
        for item, answer in zip(items, answers, strict=True):
            item.answer = answer

    def _decided(self, item: Item) -> Decision:
        prompt, failure = item.prompt, None
        try:
            decision = decide(prompt, item.answer, self._combiners[prompt.model, prompt.adapter])
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            decision, failure = Decision(prompt.fallback, fallback="answer not read"), error
        if decision.fallback:
            self._failures.add(decision.fallback, 1, failure)
        return decision

    def _keep(self, items: Sequence[Item]) -> None:
        if not self.settings.prompts.dynamic_exemplars:
            return
        try:
            self._exemplars.keep(items)
        except Exception as error:  # noqa: BLE001 - the evaluator ends a submission at the first exception
            self._failures.add("answers not kept as examples", len(items), error)


def _as_text(prompt: object) -> str:
    if isinstance(prompt, bytes):
        return prompt.decode("utf-8", "replace")
    return prompt if isinstance(prompt, str) else ""


def track_minutes(settings: ClockSettings) -> float:
    """Return the track's minutes: those of the settings, else those of the track that aicrowd.json names."""
    if settings.minutes:
        return settings.minutes
    try:
        return track_of(ROOT / "aicrowd.json").minutes
    except UserError as error:
        _LOG.warning("the limit of the shortest track applies: %s", error)
        return min(track.minutes for track in TRACKS)


class FailureLog:
    """Logs failures, and counts the affected questions by reason."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._batch: Counter[str] = Counter()
        self._causes: dict[str, BaseException] = {}

    def add(self, reason: str, questions: int, error: BaseException | None = None) -> None:
        """Add `questions` to the count of `reason`."""
        self._counts[reason] += questions
        self._batch[reason] += questions
        if error:
            self._causes.setdefault(reason, error)

    def log_batch(self, questions: int) -> None:
        """Write one line about all failures since the last call, each reason with its first cause, if there are any."""
        if self._batch:
            listed = ", ".join(f"{count} {reason}{self._cause(reason)}" for reason, count in self._batch.items())
            _LOG.warning("of %d question%s: %s", questions, "" if questions == 1 else "s", listed)
        self._batch.clear()
        self._causes.clear()

    @property
    def counts(self) -> Mapping[str, int]:
        """Reason -> number of questions."""
        return dict(self._counts)

    def _cause(self, reason: str) -> str:
        error = self._causes.get(reason)
        return f" ({type(error).__name__}: {error})" if error else ""
