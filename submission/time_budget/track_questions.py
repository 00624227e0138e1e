"""Predicts the cost of whole tracks from the work of sample questions."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from evaluation.questions import QuestionRow
from models.settings import Settings
from prompts.prompt import Prompt
from submission.time_budget.prediction import Machine, Work
from submission.time_budget.token_counting import Counting, count_work, prompts_of
from utilities.task_type import TaskType
from utilities.tracks import TRACK_3_QUESTIONS, TRACKS, Track

_TRACK_3, _ALL_TRACKS = 3, 5
_ANSWER_TOKENS = 256  # of the context, kept for the answer as `load_settings` does


@dataclass(frozen=True)
class Cost:
    """The predicted cost of some questions; `slowest_seconds` are those per question in the slowest batch."""

    questions: float = 0.0
    prefill_tokens: float = 0.0
    decode_steps: float = 0.0
    seconds: float = 0.0
    floor_seconds: float = 0.0
    slowest_seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        sums = {name: getattr(self, name) + getattr(other, name) for name in vars(self)}
        return replace(Cost(**sums), slowest_seconds=max(self.slowest_seconds, other.slowest_seconds))

    def times(self, count: float) -> "Cost":
        """Return the cost of `count` times as many questions."""
        products = {name: count * value for name, value in vars(self).items()}
        return replace(Cost(**products), slowest_seconds=self.slowest_seconds)


@dataclass(frozen=True)
class Group:
    """The sample questions of one task type of one track, and their work."""

    track: str
    task_type: TaskType
    samples: int
    work: Work

    def cost(self, machine: Machine) -> tuple[Cost, Cost]:
        """Return the cost per question, and the cost of the heads, which are read once."""
        batches = [machine.passes(batch) for batch in self.work.batches]
        passes = [each for batch in batches for each in batch]
        heads, count = self.work.heads.values(), self.work.questions
        each_question = Cost(
            questions=1.0,
            prefill_tokens=sum(each.tokens for each in passes if not each.decode) / count,
            decode_steps=sum(each.decode for each in passes) / count,
            seconds=machine.seconds(passes) / count,
            floor_seconds=machine.floor_seconds(passes) / count,
            slowest_seconds=max(machine.seconds(batch) for batch in batches) / (count / len(batches)),
        )
        return each_question, Cost(prefill_tokens=sum(each.tokens for each in heads), seconds=machine.seconds(heads))


@dataclass(frozen=True)
class TrackBudget:
    """One track's predicted cost by task type; `load_seconds` come before the first question."""

    track: Track
    shares: Mapping[TaskType, Cost]
    load_seconds: float

    @property
    def total(self) -> Cost:
        """The cost of all questions."""
        return sum(self.shares.values(), Cost())

    @property
    def minutes(self) -> float:
        """Minutes of answering."""
        return self.total.seconds / 60

    @property
    def limit_share(self) -> float:
        """The share of the track's limit; it includes loading, because the evaluator's clock may run meanwhile."""
        return (self.total.seconds + self.load_seconds) / 60 / self.track.minutes


def count_groups(
    questions: Sequence[QuestionRow], machine: Machine, counting: Counting, settings: Settings
) -> list[Group]:
    """Count the work of every task type of every track, with the ways of answering in the model's registry entry.

    Few samples are repeated until their last batch is full.
    """
    samples: dict[tuple[str, TaskType], list[QuestionRow]] = defaultdict(list)
    for question in questions:
        samples[question.track, question.task_type].append(question)
    entry = machine.entry
    limit = min(settings.engine.max_prompt_tokens, entry.context_length - _ANSWER_TOKENS)
    engine = replace(
        settings.engine,
        name=entry.engine,
        choice=entry.choice,
        selection=entry.selection,
        spans=entry.spans,
        # In counted tokens.
        max_prompt_tokens=round(limit / counting.scale),
    )
    groups = []
    for (track, task_type), rows in tqdm(samples.items(), desc="counting tokens", unit="task type"):
        full = full_batches(prompts_of(rows, settings.prompts), settings.batch_size)
        counted = count_work(counting.tokenizer, full, engine)
        batches = [tuple(each.scaled(counting.scale) for each in batch) for batch in counted.batches]
        heads = {head: each.scaled(counting.scale) for head, each in counted.heads.items()}
        groups.append(Group(track, task_type, len(rows), Work(counted.questions, batches, heads)))
    return groups


def full_batches(prompts: Sequence[Prompt], size: int) -> list[list[Prompt]]:
    """Return batches of `size`; repeated prompts with a mark, so that none are equal, fill up the last one."""
    filled = [*prompts]
    while len(filled) % size:
        prompt, mark = prompts[len(filled) % len(prompts)], " " + "." * (len(filled) // len(prompts))
        filled.append(replace(prompt, user=prompt.user + mark, bare=prompt.bare + mark if prompt.bare else ""))
    return [filled[start : start + size] for start in range(0, len(filled), size)]


def largest_work(groups: Sequence[Group]) -> Work:
    """Return the batches of all groups, the largest of which must fit into memory, and all heads."""
    works = [group.work for group in groups]
    heads = {head: each for work in works for head, each in work.heads.items()}
    return Work(sum(work.questions for work in works), [batch for work in works for batch in work.batches], heads)


def assumed_questions(named: Mapping[int, int]) -> dict[int, int]:
    """Return the questions of every track: `named`, 2,373 of track 3, else in proportion to the tracks' minutes."""
    minutes = {track.number: track.minutes for track in TRACKS}
    pace = TRACK_3_QUESTIONS / minutes[_TRACK_3]
    assumed = {number: round(pace * minutes[number]) for number in minutes if number != _ALL_TRACKS} | dict(named)
    return {**assumed, _ALL_TRACKS: named.get(_ALL_TRACKS, sum(assumed.values()))}


def budgets(groups: Sequence[Group], machine: Machine, questions: Mapping[int, int]) -> list[TrackBudget]:
    """Return the predicted cost of all tracks; the fifth mixes the other four by their questions."""
    costs = [group.cost(machine) for group in groups]
    found = []
    for track in TRACKS:
        shares: dict[TaskType, Cost] = defaultdict(Cost)
        for group, (each, once), count in zip(groups, costs, _counts(track, groups, questions), strict=True):
            if count:
                shares[group.task_type] += each.times(count) + once
        found.append(TrackBudget(track, shares, machine.load_seconds()))
    return found


def _counts(track: Track, groups: Sequence[Group], questions: Mapping[int, int]) -> list[float]:
    """Return for each group how many of the track's questions are like the group's."""
    if track.number != _ALL_TRACKS:
        named = any(group.track == track.challenge_id for group in groups)
        samples = [group.samples * (not named or group.track == track.challenge_id) for group in groups]
        return [questions[track.number] * count / sum(samples) for count in samples]
    others = [each for each in TRACKS if each.number != _ALL_TRACKS]
    part = questions[_ALL_TRACKS] / sum(questions[each.number] for each in others)
    columns = zip(*(_counts(each, groups, questions) for each in others), strict=True)
    return [sum(part * count for count in column) for column in columns]
