"""How fast an engine reads and writes, as measured on what it did last."""

import math
from dataclasses import dataclass, replace

from models.engines.usage import Usage
from models.scheduling.effort import Work

_KEPT = 0.5
"""Of everything older at each measurement: an engine that becomes ten times slower is believed at once."""
_ASSUMED_TOKENS_PER_CHARACTER = 0.3
_ASSUMED_SECONDS_PER_TOKEN = 1e-3
_ASSUMED_SECONDS_PER_STEP = 5e-2
_OVERHEAD = 5e-3
_LEAST_SECONDS = 1e-6


@dataclass
class _Ratio:
    """A quotient of two sums in which older parts count less and less."""

    above: float = 0.0
    below: float = 0.0

    def add(self, above: float, below: float) -> None:
        if below > 0:
            self.above = _KEPT * self.above + above
            self.below = _KEPT * self.below + below

    def value(self, otherwise: float) -> float:
        return self.above / self.below if self.below > 0 else otherwise


class Speed:
    """Predicts the seconds of an engine's work from what it has done."""

    def __init__(self, usage: Usage) -> None:
        """Begin with what the engine has measured before the first batch."""
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
        """Return the seconds that `work` is going to take."""
        return self._explained(work) * math.exp(self._log_slip)

    def _explained(self, work: Work) -> float:
        """Return the seconds that reading and writing take by themselves."""
        tokens = work.characters * self._density.value(_ASSUMED_TOKENS_PER_CHARACTER)
        reading = tokens * self._prefill.value(_ASSUMED_SECONDS_PER_TOKEN)
        writing = work.steps * self._decode.value(_ASSUMED_SECONDS_PER_STEP)
        return reading + writing + _OVERHEAD

    def learn(self, work: Work, usage: Usage, seconds: float) -> None:
        """Take in that `work` took `seconds` and brought the engine's totals to `usage`.

        What the engine's own measurement does not explain is averaged as a logarithm, so that one hiccup is forgotten
        after a few batches. A new process begins its totals anew.
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
