"""From rows as files give them to questions that can be trained on; what is left out has a reason."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from evaluation.metrics import METRICS, MICRO_F1
from evaluation.questions import UNKNOWN_TRACK, QuestionRow
from prompts.settings import PromptSettings
from tuning.selection.decontamination import UnseenContent
from tuning.selection.letters import with_numbers
from tuning.selection.parts import folded, read_parts
from tuning.selection.rows import Corrupt, Dropped, Reading, Row, Usable, stratum_name
from tuning.training_form import training_form
from utilities.errors import UserError
from utilities.task_type import TaskType

ALL_EQUAL = "all candidates are worth the same"
CORRUPT = "corrupt"
EMPTY = "empty field"
LEFT_OUT = "task left out"
TOO_LONG = "too long"
IMPOSSIBLE = "answer of another kind than the metric's"
DUPLICATE = "duplicate"
CONTRADICTION = "duplicate with another answer"
EVALUATION = "shares words with an evaluation file"


@dataclass(frozen=True)
class Rules:
    """What is left out.

    Attributes:
        leave_out: names of tasks, alone or with a task type as in "ACR (generation)".
        longest: characters of a question with its answer.
        skip_corrupt: count damaged rows instead of stopping at the first.
    """

    leave_out: frozenset[str] = frozenset()
    longest: int = 4000
    skip_corrupt: bool = False


class Cleaner:
    """Takes rows one by one; keeps those that look usable, and counts the others by task and reason."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._answers: dict[tuple[str, ...], object] = {}
        self._left_out: set[str] = set()
        self.kept: list[Usable] = []
        self.dropped: Counter[tuple[str, str]] = Counter()

    def add_all(self, readings: Iterable[Reading]) -> tuple[int, int]:
        """Take the rows of a file and return how many there were and how many of them were kept.

        Raises:
            UserError: a row is damaged, and such rows are not to be skipped.
        """
        before, count = len(self.kept), 0
        for count, reading in enumerate(readings, start=1):  # noqa: B007 - the last number is how many there were
            self._add(reading)
        return count, len(self.kept) - before

    def check_names(self) -> None:
        """Refuse names of tasks to leave out that no row has, and a task whose metrics have no common mean.

        Raises:
            UserError: there is such a task.
        """
        unknown = sorted(self._rules.leave_out - self._left_out)
        if unknown:
            raise UserError(f"--leave-out: no row is of a task {unknown[0]!r}: name a task of the files")
        metrics: dict[str, str] = {}
        for row in self.kept:
            name, metric = row.question.task_name, row.question.metric
            if MICRO_F1 in {metric, metrics.setdefault(name, metric)} and metric != metrics[name]:
                raise UserError(f"task {name!r} is scored by {metrics[name]!r} and {metric!r}: give it two names")

    def keep_usable(self, evaluation: Sequence[str], prompts: PromptSettings) -> None:
        """Drop what shares content with `evaluation`, and what the package's own prompt cannot be answered by."""
        unseen = UnseenContent([read_parts(text) for text in evaluation], [row.parts for row in self.kept])
        kept: list[Usable] = []
        for row in tqdm(self.kept, desc="checking", unit="row", mininterval=1):
            reason = EVALUATION if unseen.touches(row.parts.words) else _why_not(row.question, prompts)
            if reason:
                self.dropped[row.question.task_name, reason] += 1
            else:
                kept.append(row)
        self.kept = kept

    def _add(self, reading: Reading) -> None:
        if isinstance(reading, Corrupt):
            if not self._rules.skip_corrupt:
                raise UserError(reading.message)
            reading = Dropped("-", CORRUPT)
        if isinstance(reading, Row):
            question = _question(reading)
            words = folded(question.input_field)
            reason = self._plain_reason(question) or self._repetition(question, words)
            if not reason:
                self.kept.append(Usable(question, reading.source, read_parts(question.input_field)))
                return
            reading = Dropped(reading.task, reason)
        self.dropped[reading.task, reading.reason] += 1

    def _plain_reason(self, question: QuestionRow) -> str:
        names = (question.task_name, stratum_name(question))
        if not self._rules.leave_out.isdisjoint(names):
            self._left_out.update(names)
            return LEFT_OUT
        answer = question.output_field
        if not question.input_field.strip() or not _is_given(answer):
            return EMPTY
        metric = METRICS[question.metric]
        if question.task_type not in metric.task_types or not metric.reference.fits(answer):
            return IMPOSSIBLE
        if question.task_type is TaskType.RANKING and isinstance(answer, list) and len(set(answer)) == 1:
            return ALL_EQUAL
        return TOO_LONG if len(question.input_field) + len(str(answer)) > self._rules.longest else ""

    def _repetition(self, question: QuestionRow, words: tuple[str, ...]) -> str:
        if words not in self._answers:
            self._answers[words] = question.output_field
            return ""
        return DUPLICATE if self._answers[words] == question.output_field else CONTRADICTION


def _is_given(answer: object) -> bool:
    parts = answer if isinstance(answer, list) else [answer]
    return any(part is not None and str(part).strip() for part in parts)


def _why_not(question: QuestionRow, prompts: PromptSettings) -> str:
    form = training_form(question, prompts)
    return form if isinstance(form, str) else ""


def _question(row: Row) -> QuestionRow:
    text, answer = with_numbers(row.text, row.answer, row.task_type)
    return QuestionRow(
        input_field=text,
        output_field=answer,
        task_name=row.task,
        task_type=row.task_type,
        metric=row.metric,
        is_multiple_choice=row.task_type is TaskType.MULTIPLE_CHOICE,
        track=UNKNOWN_TRACK,
    )
