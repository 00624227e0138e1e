"""From the work of sample questions to the minutes of whole tracks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tqdm import tqdm

from evaluation.questions import QuestionRow
from models.engines.settings import EngineSettings
from models.settings import Settings
from prompts.prompt import Prompt
from submission.time_budget.prediction import Machine
from submission.time_budget.token_counting import count_work, prompts_of
from submission.time_budget.token_figures import Counting
from submission.time_budget.work import Work
from utilities.task_type import TaskType
from utilities.tracks import TRACK_3_QUESTIONS, TRACKS, Track

_TRACK_3, _ALL_TRACKS = 3, 5
_ANSWER_TOKENS = 256  # of the context, kept for the answer as `load_settings` does


@dataclass(frozen=True)
class Rate:
    """What a group of sample questions costs, a question, and what comes once beside that."""

    prefill_tokens: float
    decode_steps: float
    seconds: float
    floor_seconds: float
    once_tokens: float
    once_seconds: float
    slowest_seconds: float


@dataclass(frozen=True)
class Group:
    """The sample questions of one task type of one track, and the work that they are."""

    track: str
    task_type: TaskType
    samples: int
    work: Work

    def rate(self, machine: Machine) -> Rate:
        """Return the cost a question on this machine."""
        batches = [machine.passes(batch) for batch in self.work.batches]
        a_batch = self.work.questions / len(batches)
        passes = [each for batch in batches for each in batch]
        heads = self.work.heads.values()
        count = self.work.questions
        return Rate(
            prefill_tokens=sum(each.tokens for each in passes if not each.decode) / count,
            decode_steps=sum(each.decode for each in passes) / count,
            seconds=machine.seconds(passes) / count,
            floor_seconds=machine.floor_seconds(passes) / count,
            once_tokens=sum(each.tokens for each in heads),
            once_seconds=machine.seconds(heads),
            slowest_seconds=max(machine.seconds(batch) for batch in batches) / a_batch,
        )


@dataclass(frozen=True)
class Share:
    """Of one track, the questions that are like a group's, and their predicted cost."""

    task_type: TaskType
    questions: float
    prefill_tokens: float
    decode_steps: float
    seconds: float
    floor_seconds: float
    slowest_seconds: float


@dataclass(frozen=True)
class TrackBudget:
    """One track's predicted cost, by its shares; `load_seconds` come before the first question."""

    track: Track
    shares: tuple[Share, ...]
    load_seconds: float

    def total(self, name: str) -> float:
        """Return the sum of one of the shares' figures."""
        return sum(float(getattr(share, name)) for share in self.shares)

    @property
    def minutes(self) -> float:
        """Minutes of answering."""
        return self.total("seconds") / 60

    @property
    def limit_share(self) -> float:
        """Of the track's limit, loading counted too: whether the evaluator's clock runs meanwhile is not known."""
        return (self.total("seconds") + self.load_seconds) / 60 / self.track.minutes

    @property
    def slowest_seconds(self) -> float:
        """Seconds a question of the slowest batch."""
        return max(share.slowest_seconds for share in self.shares)


def engine_settings(machine: Machine, settings: Settings, scale: float) -> EngineSettings:
    """Return the settings that the model's catalogue entry makes of these.

    `scale` is the model's tokens for each that is counted: its limit is applied to counted ones.
    """
    entry = machine.entry
    limit = min(settings.engine.max_prompt_tokens, entry.context_length - _ANSWER_TOKENS)
    return replace(
        settings.engine,
        name=entry.engine,
        choice=entry.choice,
        selection=entry.selection,
        spans=entry.spans,
        max_prompt_tokens=round(limit / scale),
    )


def count_groups(
    questions: Sequence[QuestionRow], machine: Machine, counting: Counting, settings: Settings
) -> list[Group]:
    """Count the work of every task type of every track; few samples are repeated until their last batch is full."""
    sorted_out: dict[tuple[str, TaskType], list[QuestionRow]] = {}
    for question in questions:
        sorted_out.setdefault((question.track, question.task_type), []).append(question)
    engine = engine_settings(machine, settings, counting.scale)
    groups = []
    for (track, task_type), samples in tqdm(sorted_out.items(), desc="counting tokens", unit="task type"):
        full = full_batches(prompts_of(samples, settings.prompts), settings.batch_size)
        work = _scaled(count_work(counting.tokenizer, full, engine), counting.scale)
        groups.append(Group(track, task_type, len(samples), work))
    return groups


def full_batches(prompts: Sequence[Prompt], size: int) -> list[list[Prompt]]:
    """Return batches of `size`, the last one filled up with prompts that differ from the first ones by a mark.

    Without it an engine would answer repeated ones together.
    """
    filled = [*prompts]
    while len(filled) % size:
        filled.append(_marked(prompts[len(filled) % len(prompts)], " " + "." * (len(filled) // len(prompts))))
    return [filled[start : start + size] for start in range(0, len(filled), size)]


def _marked(prompt: Prompt, mark: str) -> Prompt:
    return replace(prompt, user=prompt.user + mark, bare=prompt.bare + mark if prompt.bare else "")


def _scaled(work: Work, scale: float) -> Work:
    batches = [tuple(each.scaled(scale) for each in batch) for batch in work.batches]
    return Work(work.questions, batches, {head: each.scaled(scale) for head, each in work.heads.items()})


def largest_work(groups: Sequence[Group]) -> Work:
    """Return the batches of all groups, the largest of which has to fit into memory, and each head that any has."""
    works = [group.work for group in groups]
    heads = {head: each for work in works for head, each in work.heads.items()}
    return Work(sum(work.questions for work in works), [batch for work in works for batch in work.batches], heads)


def assumed_questions(named: Mapping[int, int]) -> dict[int, int]:
    """Return the questions of every track: those named, 2,373 of track 3, else in proportion to the tracks' minutes."""
    minutes = {track.number: track.minutes for track in TRACKS}
    pace = TRACK_3_QUESTIONS / minutes[_TRACK_3]
    assumed = {number: round(pace * minutes[number]) for number in minutes if number != _ALL_TRACKS} | dict(named)
    return {**assumed, _ALL_TRACKS: named.get(_ALL_TRACKS, sum(assumed.values()))}


def budgets(groups: Sequence[Group], machine: Machine, questions: Mapping[int, int]) -> list[TrackBudget]:
    """Return the predicted cost of all tracks; the fifth is made of the other four in proportion to their questions."""
    rates = {id(group): group.rate(machine) for group in groups}
    found = []
    for track in TRACKS:
        counts = _counts(track, groups, questions)
        shares = [_share(group, counts[id(group)], rates[id(group)]) for group in groups if id(group) in counts]
        types = dict.fromkeys(share.task_type for share in shares)
        merged = tuple(_merged([share for share in shares if share.task_type is each]) for each in types)
        found.append(TrackBudget(track, merged, machine.load_seconds()))
    return found


def _counts(track: Track, groups: Sequence[Group], questions: Mapping[int, int]) -> dict[int, float]:
    """Return how many of the track's questions are like those of each group, by the group's id."""
    if track.number != _ALL_TRACKS:
        members = [group for group in groups if group.track == track.challenge_id] or list(groups)
        samples = sum(group.samples for group in members)
        return {id(group): questions[track.number] * group.samples / samples for group in members}
    others = [each for each in TRACKS if each.number != _ALL_TRACKS]
    part = questions[_ALL_TRACKS] / sum(questions[each.number] for each in others)
    counts: dict[int, float] = {}
    for each in others:
        for group, count in _counts(each, groups, questions).items():
            counts[group] = counts.get(group, 0.0) + part * count
    return counts


def _share(group: Group, count: float, rate: Rate) -> Share:
    return Share(
        task_type=group.task_type,
        questions=count,
        prefill_tokens=count * rate.prefill_tokens + rate.once_tokens,
        decode_steps=count * rate.decode_steps,
        seconds=count * rate.seconds + rate.once_seconds,
        floor_seconds=count * rate.floor_seconds,
        slowest_seconds=rate.slowest_seconds,
    )


def _merged(shares: Sequence[Share]) -> Share:
    """Return one share of a task type that several tracks have."""
    sums = ("questions", "prefill_tokens", "decode_steps", "seconds", "floor_seconds")
    totals: dict[str, Any] = {name: sum(float(getattr(share, name)) for share in shares) for name in sums}
    return replace(shares[0], **totals, slowest_seconds=max(share.slowest_seconds for share in shares))
