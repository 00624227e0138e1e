"""Without the evaluator's limits a batch is one request, however slow the engine is, and a cut text is counted."""

from collections.abc import Sequence

import pytest

from models.engines.interface import NO_LIMIT, Answer, Usage
from models.engines.settings import EngineSettings
from models.scheduling.asking import Asking
from models.scheduling.clock import Allowance, ClockSettings
from prompts.prompt import Choice, Prompt, Text

CHOICE = Prompt("", "Which?\n0. a\n1. b", Choice(("0", "1"), ("a", "b")), fallback="1", bare="Which?")
TEXT = Prompt("", "Describe a bottle of steel.", Text(30), fallback="A bottle.")


class Measured:
    """An engine of a measured speed that may end texts early."""

    def __init__(self, seconds_a_token: float, cut: int = 0) -> None:
        self.time, self.cut = 0.0, cut
        self.sizes: list[int] = []
        self._seconds = seconds_a_token
        self._usage = Usage(100, 100 * seconds_a_token, 10, 10, 10 * seconds_a_token)

    def answer(
        self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = NO_LIMIT
    ) -> list[Answer]:
        self.sizes.append(len(prompts))
        self.time += 100 * self._seconds * len(prompts)
        self._usage.prefilled(100 * len(prompts), 100 * self._seconds * len(prompts))
        self._usage.cut_texts += self.cut
        return [Answer(prompt.fallback) for prompt in prompts]

    def usage(self) -> Usage:
        return self._usage

    def describe(self) -> dict[str, object]:
        return {}


def asked(engine: Measured, *, whole: bool, seconds: float = 4800.0) -> Asking:
    asking = Asking(engine, EngineSettings(), ClockSettings(), now=lambda: engine.time)
    for _ in range(2):
        asking.answers([CHOICE, TEXT] * 8, Allowance(engine.time, seconds, seconds, whole=whole))
    return asking


@pytest.mark.parametrize("seconds_a_token", [1e-4, 1e-2, 0.5])
def test_a_patient_batch_is_one_request_of_the_planned_efforts(seconds_a_token: float) -> None:
    engine = Measured(seconds_a_token)
    assert asked(engine, whole=True).events == {}
    assert engine.sizes == [16, 16]


def test_with_limits_a_slow_engine_gets_small_requests() -> None:
    engine = Measured(0.05)
    asked(engine, whole=False, seconds=128.0)
    assert max(engine.sizes) < 16


def test_texts_that_a_timeout_ended_are_counted() -> None:
    assert asked(Measured(1e-4, cut=3), whole=True).events == {"texts cut by the timeout": 6}
