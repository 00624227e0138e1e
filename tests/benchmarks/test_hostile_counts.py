"""Hostile prompts: the same for one seed, and everything that goes wrong is counted."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.hostile_prompts import KINDS, ask_hostile, flaw_of, merged
from tests.benchmarks.commands import read, run


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_prompts_are_the_same_for_the_same_seed(kind: str) -> None:
    def made(seed: int) -> list[str]:
        generator = random.Random(seed)
        return [KINDS[kind](generator, ["Which lamp?\n1. a\n2. b", "Rank\n1. c"]) for _ in range(20)]

    assert made(1) == made(1)
    assert len(set(made(1))) > 1


class Answering:
    """A model that gives one fixed answer, or raises it."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def get_batch_size(self) -> int:
        return 1

    def batch_predict(self, batch: Mapping[str, Sequence[str]], is_multiple_choice: bool) -> list[str]:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("answer", "exceptions", "invalid"),
    [(ValueError("no"), 10, 0), (None, 0, 10), (["1", "2"], 0, 10), ([""], 0, 10)],
)
def test_exceptions_and_invalid_answers_are_counted(answer: object, exceptions: int, invalid: int) -> None:
    tally = ask_hostile(Answering(answer), 10, random.Random(0), ["Which lamp?"])
    assert (tally.prompts, tally.exceptions, tally.invalid_answers) == (10, exceptions, invalid)
    assert len(tally.troubles) == 10


def test_a_flaw_is_what_the_evaluator_cannot_read() -> None:
    assert flaw_of(["2"], "Which?\n1. a\n2. b", True) is None
    assert flaw_of(["Answer: 2"], "Which?\n1. a\n2. b", True)
    assert flaw_of([" "], "Describe the lamp.", False)


def test_parts_of_a_hostile_run_are_summed(tmp_path: Path) -> None:
    def part(slowest: float, kind: str) -> dict[str, Any]:
        tally = ask_hostile(Answering(["1"]), 2, random.Random(0), ["Which lamp?"])
        counted = {**asdict(tally), "fallbacks": {"engine failed": 1}}
        return {**counted, "slowest_prompt_seconds": slowest, "slowest_prompt_kind": kind}

    report = merged([part(1.0, "noise"), part(2.0, "nothing")])
    assert (report["prompts"], report["fallbacks"]) == (4, {"engine failed": 2})
    assert (report["slowest_prompt_seconds"], report["slowest_prompt_kind"]) == (2.0, "nothing")


@pytest.mark.slow
def test_hostile_prompts_go_through_the_package_without_a_model(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    code = run("hostile_prompts", "--count", 40, "--results", path)
    report = read(path)["report"]
    assert (report["prompts"], report["exceptions"]) == (40, 0)
    assert code == (1 if report["invalid_answers"] else 0)
