"""The evaluator's loop: it groups questions by task type, asks the model in batches and times each batch."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn, Protocol, TypeVar, runtime_checkable

from tqdm import tqdm

from evaluation.journal import AnsweredBatch, Journal, Totals, risen, summed, totals_of
from evaluation.questions import QuestionRow
from models.trace import Trace
from models.traced_question import TracedQuestion
from utilities.errors import UserError
from utilities.task_type import TaskType

T = TypeVar("T")
MAX_BATCH_SIZE = 16
SECONDS_PER_SAMPLE = 10.0


class Model(Protocol):
    """The evaluator's contract with a `UserModel`.

    A model may also have `fallbacks` (reason to number of questions answered by a fallback), `events` (kind to number:
    engines restarted, work reduced) and `describe`; scores.json keeps them.
    """

    def get_batch_size(self) -> int:
        """Return the size of the next batches, 1 to 16."""

    def batch_predict(self, batch: dict[str, list[str]], is_multiple_choice: bool) -> list[str]:
        """Answer `batch["prompt"]`, one string a prompt."""


@runtime_checkable
class DescribesItself(Protocol):
    """A model that describes itself for scores.json."""

    def describe(self) -> dict[str, object]:
        """Return the keys "settings", "weights", "speed" and "catalogue", as far as the model has them."""


@runtime_checkable
class HasClock(Protocol):
    """A model that keeps the evaluator's time limits."""

    def lift_limits(self) -> None:
        """Answer from now on without the limits; an engine that hangs is still ended."""


@dataclass(frozen=True)
class Batch:
    """One call of `batch_predict`: its number of questions and its seconds."""

    questions: int
    seconds: float

    @property
    def limit(self) -> float:
        """The seconds after which the evaluator kills the submission."""
        return self.questions * SECONDS_PER_SAMPLE

    @property
    def per_question(self) -> float:
        """Seconds a question, of which the evaluator allows ten."""
        return self.seconds / self.questions


@dataclass(frozen=True)
class Prediction:
    """The answers in the order of the questions, and the batches in the order of asking.

    Attributes:
        answers: one for each question.
        batches: their sizes and seconds.
        asked: the questions' indices in the order of asking.
        traced: one for each question; empty if the model keeps no trace.
        earlier: the counts of batches that an earlier process of the run answered.
    """

    answers: tuple[str, ...]
    batches: tuple[Batch, ...]
    asked: tuple[int, ...] = ()
    traced: tuple[TracedQuestion, ...] = ()
    earlier: Totals = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Time spent in `batch_predict`."""
        return sum(batch.seconds for batch in self.batches)

    @property
    def slowest_batch(self) -> Batch:
        """The batch that came nearest to its limit."""
        return max(self.batches, key=lambda batch: batch.per_question)

    @property
    def batch_of(self) -> tuple[int, ...]:
        """The number of each question's batch, from 0, in the order of the questions."""
        return self.in_order([number for number, batch in enumerate(self.batches) for _ in range(batch.questions)])

    def in_order(self, values: Sequence[T]) -> tuple[T, ...]:
        """Sort values from the order of asking into the order of the questions."""
        of_question = dict(zip(self.asked, values, strict=True))
        return tuple(of_question[index] for index in range(len(of_question)))


def predict(
    model: Model, questions: Sequence[QuestionRow], trace: Trace | None = None, journal: Journal | None = None
) -> Prediction:
    """Ask `model` all `questions` (at least one) in the evaluator's groups and batches.

    `trace` is the one that the model keeps. Batches that `journal` has are not asked again; each further one is added.

    Raises:
        UserError: the model breaks the evaluator's contract.
    """
    earlier: list[AnsweredBatch] = []
    batches: list[AnsweredBatch] = []
    totals = totals_of(model, described(model)) if journal else {}
    with tqdm(total=len(questions), desc="predicting", unit="question") as progress:
        for members in _batches(model, questions):
            known = journal.answered(members) if journal else None
            batch = known or _asked(model, questions, members, trace)
            if known:
                earlier.append(known)
            elif journal:
                before, totals = totals, totals_of(model, described(model))
                journal.add(replace(batch, counted=risen(before, totals)))
            batches.append(batch)
            progress.update(len(members))
    return _prediction(batches, earlier)


def _asked(
    model: Model, questions: Sequence[QuestionRow], members: Sequence[int], trace: Trace | None
) -> AnsweredBatch:
    prompts = [questions[index].input_field for index in members]
    started = time.perf_counter()
    given = model.batch_predict({"prompt": prompts}, questions[members[0]].task_type is TaskType.MULTIPLE_CHOICE)
    seconds = time.perf_counter() - started
    answers = tuple(_checked(given, len(members)))
    traced = tuple(trace.questions[-len(members) :]) if trace else ()
    return AnsweredBatch(tuple(members), answers, seconds, traced)


def _prediction(batches: Sequence[AnsweredBatch], earlier: Sequence[AnsweredBatch]) -> Prediction:
    """Sort answers and traces into the order of the questions."""
    answers = {index: answer for batch in batches for index, answer in zip(batch.indices, batch.answers, strict=True)}
    traced = [question for batch in batches for question in batch.traced]
    prediction = Prediction(
        tuple(answers[index] for index in range(len(answers))),
        tuple(Batch(len(batch.indices), batch.seconds) for batch in batches),
        asked=tuple(answers),
        earlier=summed(earlier),
    )
    return replace(prediction, traced=prediction.in_order(traced)) if len(traced) == len(answers) else prediction


def described(model: Model) -> Mapping[str, object]:
    """Return the model's description of itself; empty if it has none."""
    return model.describe() if isinstance(model, DescribesItself) else {}


def _batches(model: Model, questions: Sequence[QuestionRow]) -> Iterator[list[int]]:
    """Yield the indices of each batch: task types in alphabetical order, the batch size asked once for each."""
    for task_type in sorted(TaskType):
        indices = [index for index, question in enumerate(questions) if question.task_type is task_type]
        if indices:
            size = _batch_size(model)
            yield from (indices[start : start + size] for start in range(0, len(indices), size))


def _batch_size(model: Model) -> int:
    size: object = model.get_batch_size()
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_BATCH_SIZE:
        _broken(f"get_batch_size() returned {size!r}: return an int from 1 to {MAX_BATCH_SIZE}")
    return size


def _checked(answers: object, expected: int) -> list[str]:
    if not isinstance(answers, list):
        _broken(f"batch_predict() returned a {type(answers).__name__}: return a list of {expected} strings")
    if len(answers) != expected:
        _broken(f"batch_predict() returned {len(answers)} answers to {expected} prompts: return one a prompt")
    for position, answer in enumerate(answers):
        if not isinstance(answer, str):
            _broken(f"batch_predict() returned {answer!r} for prompt {position} of its batch: return a string")
    return answers


def _broken(problem: str) -> NoReturn:
    raise UserError(f"the UserModel breaks the evaluator's contract: {problem}")
