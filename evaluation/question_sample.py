"""Draws a sample of questions of each task, without questions that overlap with held-out ones."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from evaluation.questions import QuestionRow
from retrieval.lexical import words

WORDS = 8


class Overlap:
    """Finds texts that share an 8-gram of words with held-out questions.

    An 8-gram of two or more held-out questions is the wording of their instruction and does not count.
    """

    def __init__(self, questions: Sequence[str]) -> None:
        self._texts = frozenset(questions)
        # A set: a question in two files would make its content count as an instruction's wording.
        held = Counter(gram for question in self._texts for gram in set(grams(question)))
        self._grams = frozenset(gram for gram, count in held.items() if count == 1)

    def touches(self, text: str) -> bool:
        """Return whether `text` has one of these 8-grams or is one of the questions."""
        return text in self._texts or any(gram in self._grams for gram in grams(text))


def grams(text: str) -> Iterator[tuple[str, ...]]:
    """Yield every eight consecutive words, case-folded; a shorter text is one gram of all its words."""
    found = words(text)
    for start in range(max(1, len(found) - WORDS + 1)):
        yield tuple(found[start : start + WORDS])


class Sample(NamedTuple):
    """Questions by task, and the number of questions of each task that were left out for overlap."""

    tasks: dict[str, list[QuestionRow]]
    refused: dict[str, int]


def draw_sample(questions: Sequence[QuestionRow], per_task: int, seed: int, overlap: Overlap) -> Sample:
    """Draw up to `per_task` different questions of each task, none that touches `overlap`."""
    tasks: dict[str, list[QuestionRow]] = {}
    refused: Counter[str] = Counter()
    for task, members in sorted(_by_task(questions).items()):
        # A generator for each task, so that another task's rows do not change this sample.
        random.Random(f"{seed} {task}").shuffle(members)
        kept: list[QuestionRow] = []
        for question in members:
            if len(kept) == per_task:
                break
            if overlap.touches(question.input_field):
                refused[task] += 1
            else:
                kept.append(question)
        if kept:
            tasks[task] = kept
    return Sample(tasks, dict(refused))


def _by_task(questions: Sequence[QuestionRow]) -> dict[str, list[QuestionRow]]:
    """Group different questions by task; the name of a task with several types or metrics includes the metric."""
    distinct = {question.input_field: question for question in questions}.values()
    kinds = Counter(name for name, *_ in {(each.task_name, each.task_type, each.metric) for each in distinct})
    tasks: dict[str, list[QuestionRow]] = defaultdict(list)
    for question in distinct:
        mixed = kinds[question.task_name] > 1
        tasks[f"{question.task_name} ({question.metric})" if mixed else question.task_name].append(question)
    return tasks
