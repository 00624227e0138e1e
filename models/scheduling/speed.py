"""Predicts the seconds of an engine's work from its measured speed."""

import math
from dataclasses import dataclass, replace

from models.engines.usage import Usage
from models.scheduling.effort import Work

_KEPT = 0.5
"""The weight of all older measurements at each new one; small, so that a sudden slowdown counts at once."""
_ASSUMED_TOKENS_PER_CHARACTER = 0.3
_ASSUMED_SECONDS_PER_TOKEN = 1e-3
_ASSUMED_SECONDS_PER_STEP = 5e-2
_OVERHEAD = 5e-3
_LEAST_SECONDS = 1e-6


@dataclass
class _Ratio:
    """A quotient of two exponentially decaying sums."""

    above: float = 0.0
    below: float = 0.0

    def add(self, above: float, below: float) -> None:
        if below > 0:
            self.above = _KEPT * self.above + above
            self.below = _KEPT * self.below + below

    def value(self, otherwise: float) -> float:
        return self.above / self.below if self.below > 0 else otherwise


class Speed:
    """The prefill and decode speed of an engine, updated by each batch."""

    def __init__(self, usage: Usage) -> None:
        """Start with the engine's measurements from before the first batch."""
        self._seen = replace(usage)
        self._density = _Ratio()
        self._prefill = _Ratio()
        self._decode = _Ratio()
        self._log_slip = 0.0
        self._seen_at_work = False
        self._add(usage, Usage())

    @property
    def measured(self) -> bool:
        """Whether the engine has said how fast it reads, or has been seen at work."""
        return self._prefill.below > 0 or self._seen_at_work

    @property
    def prefill_tokens_per_second(self) -> float:
        """Tokens read in a second."""
        return 1.0 / self._prefill.value(_ASSUMED_SECONDS_PER_TOKEN)

    @property
    def decode_steps_per_second(self) -> float:
        """Tokens written one after the other in a second; each row of a batch writes as many."""
        return 1.0 / self._decode.value(_ASSUMED_SECONDS_PER_STEP)

    def to_json(self) -> dict[str, float]:
        """Return both speeds."""
        return {
            "prefill_tokens_per_second": self.prefill_tokens_per_second,
            "decode_steps_per_second": self.decode_steps_per_second,
        }

    def predict(self, work: Work) -> float:
        """Return the predicted seconds for `work`."""
        return self._explained(work) * math.exp(self._log_slip)

    def _explained(self, work: Work) -> float:
        """Return the seconds for prefill and decoding without the correction by the slip."""
        tokens = work.characters * self._density.value(_ASSUMED_TOKENS_PER_CHARACTER)
        reading = tokens * self._prefill.value(_ASSUMED_SECONDS_PER_TOKEN)
        writing = work.steps * self._decode.value(_ASSUMED_SECONDS_PER_STEP)
        return reading + writing + _OVERHEAD

    def learn(self, work: Work, usage: Usage, seconds: float) -> None:
        """Update the speed: `work` took `seconds` and brought the engine's totals to `usage`.

        The slip, the ratio of actual to predicted seconds, is averaged as a logarithm, so that the effect of one
        hiccup fades after a few batches. The totals of a new process start at 0.
        """
        before = self._seen if usage.prefill_tokens >= self._seen.prefill_tokens else Usage()
        if usage.prefill_tokens > before.prefill_tokens:
            self._density.add(usage.prefill_tokens - before.prefill_tokens, work.characters)
        self._add(usage, before)
        self._seen = replace(usage)
        slip = max(seconds, _LEAST_SECONDS) / self._explained(work)
        kept = _KEPT if self._seen_at_work else 0.0
        self._log_slip = (1 - kept) * math.log(slip) + kept * self._log_slip
        self._seen_at_work = True

    def _add(self, usage: Usage, before: Usage) -> None:
        self._prefill.add(usage.prefill_seconds - before.prefill_seconds, usage.prefill_tokens - before.prefill_tokens)
        self._decode.add(usage.decode_seconds - before.decode_seconds, usage.decode_steps - before.decode_steps)
