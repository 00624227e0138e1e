"""Asks an engine for the answers to a batch, and copes with one that is slow, out of memory, hung or dead."""

import logging
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from models.engines.interface import (
    OUT_OF_MEMORY,
    Answer,
    Engine,
    EngineError,
    GoneEngineError,
    LostEngineError,
    StartingEngineError,
)  # fmt: skip
from models.engines.settings import EngineSettings
from models.scheduling.clock import Allowance, ClockSettings
from models.scheduling.planning import EVIDENCE, Effort, Efforts, Speed, efforts, plan, together
from prompts.orders import scores_in_order
from prompts.prompt import Choice, Prompt, Selection, best_labels, softmax

_LOG = logging.getLogger("shopalign")
_RESERVE = 0.8
"""The share of the remaining time that is planned with: predictions can be wrong."""
_UNTRIED_SHARE, _TRIED_SHARE = 0.05, 0.3
"""The share of the remaining time for one request, before and after the engine first met a prediction."""
_PATIENCE_SHARE, _LAST_PATIENCE_SHARE = 0.6, 0.95
"""The share of the remaining time to wait for an answer: while other prompts wait, and for the last request."""
_TIMES_AS_LONG, _LEAST_PATIENCE, _LEAST_PATIENCE_SHARE = 20.0, 2.0, 0.1
"""The patience with an engine that met predictions: a multiple of the prediction, seconds, and a share of the remaining
time, whichever is longest. A slow machine must not be mistaken for a hung engine, because a restart takes long."""
_TOO_LATE = 0.3
_PROBED_SHARE = 0.75
"""While more than this share of a batch's seconds remains, the cheapest prompt is asked even if it seems too slow."""


@dataclass(frozen=True)
class Missing:
    """Why a prompt has no answer."""

    reason: str


@dataclass
class _Batch:
    """The state of a batch: groups of pending prompts, and the results so far."""

    choices: list[Efforts]
    allowance: Allowance
    groups: list[list[int]]
    results: dict[int, Answer | Missing] = field(default_factory=dict)

    def pending(self) -> list[int]:
        """Return the indices of the pending prompts, group by group."""
        return [index for group in self.groups for index in group]

    def take(self, indices: Sequence[int]) -> None:
        """Remove prompts from their groups."""
        taken = set(indices)
        left = ([index for index in group if index not in taken] for group in self.groups)
        self.groups = [group for group in left if group]

    def step_down(self, index: int, failed: Effort) -> bool:
        """Reduce a prompt that failed in several orders at once to its own order; return whether it did."""
        if len(failed.prompts) < 2:
            return False
        self.choices[index] = tuple(effort for effort in self.choices[index] if len(effort.prompts) < 2)
        self.take([index])
        self.groups.append([index])
        return True


class Asking:
    """Plans batches for one engine, measures its speed, and halves batches that fail."""

    def __init__(
        self,
        engine: Engine,
        settings: EngineSettings,
        clock: ClockSettings,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._settings, self._clock, self._now = engine, settings, clock, now
        self._tried = False
        self._most = 0
        self.speed = Speed(engine.usage())
        self.events: Counter[str] = Counter()

    def answers(self, prompts: Sequence[Prompt], allowance: Allowance) -> list[Answer | Missing]:
        """Return an answer for every prompt, or the reason for none, before the allowance's limit."""
        choices: list[Efforts] = [efforts(prompt, self._settings, self._clock) for prompt in prompts]
        batch = _Batch(choices, allowance, [list(range(len(prompts)))])
        while batch.pending():
            reason = self._ask_some(batch)
            if reason:
                batch.results.update({index: Missing(reason) for index in batch.pending()})
                break
        return [batch.results[index] for index in range(len(prompts))]

    def _ask_some(self, batch: _Batch) -> str:
        """Send one request of several prompts; return the reason if no more requests can be sent."""
        left = self._left(batch)
        pending = batch.pending()
        fair = batch.allowance.began + batch.allowance.seconds - self._now()
        chosen = plan([batch.choices[index] for index in pending], self.speed, _RESERVE * min(fair, left))
        planned = {index: effort for index, effort in zip(pending, chosen, strict=True) if effort is not EVIDENCE}
        if not planned and fair > max(_TOO_LATE, _PROBED_SHARE * batch.allowance.seconds):
            planned = self._probe(batch)
        if left < _TOO_LATE or not planned:
            return "out of time"
        indices = self._chunk(batch, planned, left)
        last = len(indices) == len(planned) == 1
        chunk = [planned[index] for index in indices]
        try:
            answers = self._asked(chunk, self._patience(chunk, left, last=last))
        except StartingEngineError:
            self.events["waited for the engine to start"] += 1
        except GoneEngineError:
            return "engine gone"
        except LostEngineError as error:
            self._tried = False
            self._narrow(batch, indices, str(error).partition(":")[0])
        except Exception as error:  # noqa: BLE001 - after any error, the other prompts must still be asked
            self._fail(batch, indices, planned, error)
        else:
            batch.take(indices)
            for index, answer in zip(indices, answers, strict=True):
                self._note(planned[index])
                batch.results[index] = answer
        return ""

    def _probe(self, batch: _Batch) -> dict[int, Effort]:
        """Choose the cheapest prompt although it seems too slow: an engine that was slow once may have recovered."""
        costs = {index: self.speed.predict(batch.choices[index][-2].work) for index in batch.pending()}
        cheapest = min(costs, key=costs.__getitem__)
        return {cheapest: batch.choices[cheapest][-2]}

    def _left(self, batch: _Batch) -> float:
        return batch.allowance.began + batch.allowance.limit - self._now()

    def _chunk(self, batch: _Batch, planned: dict[int, Effort], left: float) -> list[int]:
        """Return the prompts of the next request: as many of the first group as fit, at least one."""
        group = next(group for group in batch.groups if any(index in planned for index in group))
        candidates = [index for index in group if index in planned]
        at_once = (_TRIED_SHARE if self._tried else _UNTRIED_SHARE) * left
        if batch.allowance.whole:
            at_once = math.inf
        chunk = candidates[:1]
        most = (self._most or None) if self.speed.measured else 1
        for index in candidates[1:most]:
            works = [planned[member].work for member in (*chunk, index)]
            if self.speed.predict(together(works)) > at_once:
                break
            chunk.append(index)
        return chunk

    def _patience(self, chunk: Sequence[Effort], left: float, *, last: bool) -> float:
        """Return the seconds to wait: some time remains for other prompts, and a small request gets less."""
        most = left * (_LAST_PATIENCE_SHARE if last else _PATIENCE_SHARE)
        if not self._tried:
            return most
        expected = self.speed.predict(together([effort.work for effort in chunk]))
        return min(most, max(_TIMES_AS_LONG * expected, _LEAST_PATIENCE, _LEAST_PATIENCE_SHARE * left))

    def _asked(self, chunk: Sequence[Effort], patience: float) -> list[Answer | Missing]:
        prompts = [prompt for effort in chunk for prompt in effort.prompts]
        ways = [effort.way for effort in chunk for _ in effort.prompts]
        began, cut = self._now(), self._engine.usage().cut_texts
        answers = list(self._engine.answer(prompts, ways, patience))
        if len(answers) != len(prompts):
            raise EngineError(f"{len(answers)} answers to {len(prompts)} prompts")
        work = together([effort.work for effort in chunk])
        self.speed.learn(work, self._engine.usage(), self._now() - began)
        self._tried = True
        self.events += Counter({"texts cut by the timeout": max(self._engine.usage().cut_texts - cut, 0)})
        results, at = [], 0
        for effort in chunk:
            results.append(_result(effort, answers[at : at + len(effort.prompts)]))
            at += len(effort.prompts)
        return results

    def _fail(self, batch: _Batch, indices: Sequence[int], planned: dict[int, Effort], error: Exception) -> None:
        _LOG.warning("the engine failed on %d prompts: %s: %s", len(indices), type(error).__name__, error)
        self.events["engine failed"] += 1
        described = f"{type(error).__name__}: {error}"
        if any(word in described for word in OUT_OF_MEMORY) and len(indices) > 1:
            self._most = max(len(indices) // 2, 1)
            self.events["batches made smaller for memory"] += 1
        if len(indices) == 1 and batch.step_down(indices[0], planned[indices[0]]):
            return
        self._narrow(batch, indices, "engine failed")

    def _narrow(self, batch: _Batch, indices: Sequence[int], reason: str) -> None:
        """Queue both halves of a failed request behind all others; a prompt that failed alone is not asked again."""
        batch.take(indices)
        if len(indices) == 1:
            batch.results[indices[0]] = Missing(reason)
            return
        half = len(indices) // 2
        batch.groups += [list(indices[:half]), list(indices[half:])]

    def _note(self, effort: Effort) -> None:
        if effort.name != "planned":
            self.events[f"questions answered by {effort.name}"] += 1


def _scored(prompt: Prompt, answer: Answer) -> bool:
    """Return whether an answer has no scores, or a finite score for each label."""
    labels = getattr(prompt.space, "labels", ())
    return not answer.scores or (len(answer.scores) == len(labels) and all(map(math.isfinite, answer.scores)))


def _result(effort: Effort, answers: Sequence[object]) -> Answer | Missing:
    given = [answer for answer in answers if isinstance(answer, Answer)]
    if len(given) < len(answers):
        return Missing("engine failed")
    if not all(_scored(*pair) for pair in zip(effort.prompts, given, strict=True)):
        return Missing("answer without finite scores")
    return combined(effort.prompts, given) if len(given) > 1 else given[0]


_LEAST = 1e-12


def combined(prompts: Sequence[Prompt], answers: Sequence[Answer]) -> Answer:
    """Combine the answers to a prompt and to its reorderings into the answer to the first prompt.

    Its scores are logarithms of mean probabilities. If an answer has no scores, the first answer is returned.
    """
    first = prompts[0]
    assert isinstance(first.space, Choice | Selection)
    if not all(answer.scores for answer in answers):
        return answers[0]
    given = [scores_in_order(first, *pair) for pair in zip(prompts, (a.scores for a in answers), strict=True)]
    means = (statistics.fmean(column) for column in zip(*map(softmax, given), strict=True))
    scores = tuple(math.log(max(mean, _LEAST)) for mean in means)
    return Answer(best_labels(first.space, scores), scores)
