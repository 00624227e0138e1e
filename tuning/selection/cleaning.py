"""Turns rows into questions that can be trained on, and counts the others by task and reason."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from tqdm import tqdm

from evaluation.metrics import METRICS, MICRO_F1
from evaluation.questions import UNKNOWN_TRACK, QuestionRow
from prompts.settings import PromptSettings
from tuning.selection.decontamination import UnseenContent
from tuning.selection.question_text import folded, read_parts, with_numbers
from tuning.selection.rows import Corrupt, Dropped, Reading, Row, Usable, stratum_name
from tuning.training_form import training_form
from utilities.errors import UserError
from utilities.task_type import TaskType

LONGEST = 4000
"""Characters of a question with its answer."""


class Cleaner:
    """Collects usable rows in `kept`; `dropped` counts the others by task and reason.

    `leave_out` names tasks, alone or with a task type as in "ACR (generation)". `longest` is the most characters of a
    question with its answer. `skip_corrupt` counts damaged rows instead of stopping at the first.
    """

    def __init__(self, leave_out: Collection[str] = (), longest: int = LONGEST, *, skip_corrupt: bool = False) -> None:
        self._leave_out, self._longest, self._skip_corrupt = set(leave_out), longest, skip_corrupt
        self._answers: dict[tuple[str, ...], object] = {}
        self._left_out: set[str] = set()
        self._tasks: set[str] = set()
        self.kept: list[Usable] = []
        self.dropped: Counter[tuple[str, str]] = Counter()

    def add_all(self, readings: Iterable[Reading]) -> tuple[int, int]:
        """Take the rows of a file; return the number of its rows and the number of kept ones.

        Raises:
            UserError: a row is damaged, unless such rows are skipped.
        """
        before, count = len(self.kept), 0
        for count, reading in enumerate(readings, start=1):  # noqa: B007 - the last value is the number of rows
            self._add(reading)
        return count, len(self.kept) - before

    def check_names(self) -> None:
        """Raise a `UserError` unless the tasks to leave out exist and each task has metrics with a common mean."""
        unknown = sorted(self._leave_out - self._left_out)
        if unknown:
            known = ", ".join(sorted(self._tasks | self._left_out))
            raise UserError(f"--leave-out: no row is of a task {unknown[0]!r}: name one of {known}")
        metrics: dict[str, str] = {}
        for row in self.kept:
            name, metric = row.question.task_name, row.question.metric
            if MICRO_F1 in {metric, metrics.setdefault(name, metric)} and metric != metrics[name]:
                raise UserError(f"task {name!r} is scored by {metrics[name]!r} and {metric!r}: give it two names")

    def keep_usable(self, evaluation: Sequence[str], prompts: PromptSettings) -> None:
        """Drop rows that share content with `evaluation`, or whose answer lies outside their prompt's answer space."""
        unseen = UnseenContent([read_parts(text) for text in evaluation], [row.parts for row in self.kept])
        rows, self.kept = self.kept, []
        for row in tqdm(rows, desc="checking", unit="row", mininterval=1):
            if unseen.touches(row.parts.words):
                self._drop(row.question.task_name, "shares words with an evaluation file")
            elif isinstance(form := training_form(row.question, prompts), str):
                self._drop(row.question.task_name, form)
            else:
                self.kept.append(row)

    def _add(self, reading: Reading) -> None:
        if isinstance(reading, Corrupt):
            if not self._skip_corrupt:
                raise UserError(f"{reading.message}, or leave such rows out with --skip-corrupt")
            self._drop("-", "corrupt")
        elif isinstance(reading, Dropped):
            self._drop(reading.task, reading.reason)
        else:
            question = _question(reading)
            reason = self._flaw(question) or self._repetition(question)
            if reason:
                self._drop(reading.task, reason)
            else:
                self._tasks.add(reading.task)
                self.kept.append(Usable(question, reading.source, read_parts(question.input_field)))

    def _drop(self, task: str, reason: str) -> None:
        self._tasks.add(task)
        self.dropped[task, reason] += 1

    def _flaw(self, question: QuestionRow) -> str:
        names = (question.task_name, stratum_name(question))
        if not self._leave_out.isdisjoint(names):
            self._left_out.update(names)
            return "task left out"
        answer = question.output_field
        if not question.input_field.strip() or not _is_given(answer):
            return "empty field"
        metric = METRICS[question.metric]
        if question.task_type not in metric.task_types:
            return f"metric {question.metric!r} scores no {question.task_type}"
        if not metric.reference.fits(answer):
            return "answer of another kind than the metric's"
        if question.task_type is TaskType.RANKING and isinstance(answer, list) and len(set(answer)) == 1:
            return "all candidates are worth the same"
        return "too long" if len(question.input_field) + len(str(answer)) > self._longest else ""

    def _repetition(self, question: QuestionRow) -> str:
        words = folded(question.input_field)
        if words not in self._answers:
            self._answers[words] = question.output_field
            return ""
        return "duplicate" if self._answers[words] == question.output_field else "duplicate with another answer"


def _is_given(answer: object) -> bool:
    parts = answer if isinstance(answer, list) else [answer]
    return any(part is not None and str(part).strip() for part in parts)


def _question(row: Row) -> QuestionRow:
    text, answer = with_numbers(row.text, row.answer, row.task_type)
    is_choice = row.task_type is TaskType.MULTIPLE_CHOICE
    return QuestionRow(text, answer, row.task, row.task_type, row.metric, is_choice, UNKNOWN_TRACK)
