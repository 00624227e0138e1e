"""Draws a sample of questions of each task, without questions that overlap with held-out ones."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

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
        held = Counter(gram for question in self._texts for gram in set(grams(words(question), WORDS)))
        self._grams = frozenset(gram for gram, count in held.items() if count == 1)

    def touches(self, text: str) -> bool:
        """Return whether `text` has one of these 8-grams or is one of the questions."""
        return text in self._texts or any(gram in self._grams for gram in grams(words(text), WORDS))


def grams(found: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    """Yield every `length` consecutive words; fewer words are one gram."""
    return (tuple(found[start : start + length]) for start in range(max(1, len(found) - length + 1)))


def draw_sample(
    questions: Sequence[QuestionRow], per_task: int, seed: int, overlap: Overlap
) -> dict[str, list[QuestionRow]]:
    """Draw up to `per_task` different questions of each task, none that touches `overlap`."""
    tasks = {}
    for task, members in sorted(_by_task(questions).items()):
        # A generator for each task, so that another task's rows do not change this sample.
        random.Random(f"{seed} {task}").shuffle(members)
        free = (question for question in members if not overlap.touches(question.input_field))
        tasks[task] = list(islice(free, per_task))
    return tasks


def _by_task(questions: Sequence[QuestionRow]) -> dict[str, list[QuestionRow]]:
    """Group different questions by task; the name of a task with several types or metrics includes the metric."""
    distinct = {question.input_field: question for question in questions}.values()
    kinds = Counter(name for name, *_ in {(each.task_name, each.task_type, each.metric) for each in distinct})
    tasks: dict[str, list[QuestionRow]] = defaultdict(list)
    for question in distinct:
        mixed = kinds[question.task_name] > 1
        tasks[f"{question.task_name} ({question.metric})" if mixed else question.task_name].append(question)
    return tasks
