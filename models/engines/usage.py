"""What an engine has done so far, in tokens and seconds: the ground on which the next batch is planned."""

from dataclasses import dataclass


@dataclass
class Usage:
    """Running totals of one engine.

    Attributes:
        prefill_tokens: tokens read, padding left out.
        prefill_seconds: seconds in which they were read.
        decode_steps: forward passes that wrote one token for every row of a batch.
        decode_tokens: tokens written.
        decode_seconds: seconds in which they were written.
    """

    prefill_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_steps: int = 0
    decode_tokens: int = 0
    decode_seconds: float = 0.0

    def clear(self) -> None:
        """Forget all of it."""
        self.prefill_tokens = self.decode_steps = self.decode_tokens = 0
        self.prefill_seconds = self.decode_seconds = 0.0

    def prefilled(self, tokens: int, seconds: float) -> None:
        """Add a prefill."""
        self.prefill_tokens += tokens
        self.prefill_seconds += seconds

    def decoded(self, steps: int, tokens: int, seconds: float) -> None:
        """Add a batch that was decoded."""
        self.decode_steps += steps
        self.decode_tokens += tokens
        self.decode_seconds += seconds
