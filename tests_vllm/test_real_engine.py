from collections.abc import Sequence
from itertools import pairwise

import pytest

from models.engines.interface import Answer
from models.engines.transformers_engine import TransformersEngine
from models.engines.vllm_engine import VllmEngine
from models.engines.ways import DECODE, LABEL, PMI, TEXT, way_of
from models.settings import EngineSettings
from prompts.answer_space import Selection, admits
from prompts.prompt import Prompt
from tests.test_engine import MIXED

TOLERANCE = 2e-3  # float32, summed in another order
SCORED = (LABEL, TEXT, PMI)


def ways_of(prompts: Sequence[Prompt], way: str) -> list[str]:
    return [way_of(prompt.space, EngineSettings(choice=way, selection=way)) for prompt in prompts]


def outside(prompts: Sequence[Prompt], answers: Sequence[Answer]) -> list[str]:
    return [
        answer.text for prompt, answer in zip(prompts, answers, strict=True) if not admits(prompt.space, answer.text)
    ]


def close_call(answer: Answer, count: int) -> bool:
    """Two labels so near each other that rounding decides which comes first."""
    ranked = sorted(answer.scores, reverse=True)[: count + 1]
    return any(a - b < TOLERANCE for a, b in pairwise(ranked))


@pytest.mark.parametrize("way", [*SCORED, DECODE])
def test_every_answer_is_a_member_of_its_space(vllm_engine: VllmEngine, way: str) -> None:
    assert outside(MIXED, vllm_engine.answer(MIXED, ways_of(MIXED, way))) == []


@pytest.mark.parametrize("way", SCORED)
def test_scores_and_answers_are_those_of_transformers(
    vllm_engine: VllmEngine, transformers_engine: TransformersEngine, way: str
) -> None:
    ways = ways_of(MIXED, way)
    for _ in range(2):  # the second time vLLM's cache holds all of it
        found, expected = vllm_engine.answer(MIXED, ways), transformers_engine.answer(MIXED, ways)
        for prompt, ours, theirs in zip(MIXED, found, expected, strict=True):
            assert ours.scores == pytest.approx(theirs.scores, abs=TOLERANCE)
            count = prompt.space.count if isinstance(prompt.space, Selection) else 1
            assert ours.text == theirs.text or close_call(theirs, count)


def test_a_mixed_batch_is_answered_as_each_prompt_alone(vllm_engine: VllmEngine) -> None:
    ways = ways_of(MIXED, PMI)
    together = vllm_engine.answer(MIXED, ways)
    alone = [vllm_engine.answer([prompt], [way])[0] for prompt, way in zip(MIXED, ways, strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert one.text == other.text
        assert one.scores == pytest.approx(other.scores, abs=TOLERANCE)
