from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import cast

import psutil
import pytest

from models.engines.interface import Answer, LostEngineError
from models.engines.model_registry import Scoring
from models.engines.process.supervised import SupervisedEngine
from models.engines.settings import DECODE, LABEL, PMI, TEXT, WRITE, EngineSettings, way_of
from models.engines.transformers_engine.engine import TransformersEngine
from models.settings import Settings
from models.shopbench_model import ShopBenchModel
from prompts.prompt import Choice, Prompt, Selection, Text, admits
from tests.models.engines.test_architectures import QUESTIONS
from tests.models.engines.test_engine import HOSTILE, MIXED, ask
from utilities.task_type import TaskType

TOLERANCE = 2e-3  # float32, summed in another order
SCORED = (LABEL, TEXT, PMI)
NUMBERS = tuple(map(str, range(30)))


def ways_of(prompts: Sequence[Prompt], way: str) -> list[str]:
    return [
        way_of(prompt.space, EngineSettings(choice=cast(Scoring, way), selection=cast(Scoring, way)))
        for prompt in prompts
    ]


def outside(prompts: Sequence[Prompt], answers: Sequence[Answer | None]) -> list[Answer | None]:
    pairs = zip(prompts, answers, strict=True)
    return [answer for prompt, answer in pairs if answer is None or not admits(prompt.space, answer.text)]


def close_call(answer: Answer, count: int) -> bool:
    """Two labels so near each other that rounding decides which comes first."""
    ranked = sorted(answer.scores, reverse=True)[: count + 1]
    return any(a - b < TOLERANCE for a, b in pairwise(ranked))


@pytest.mark.parametrize("way", [*SCORED, DECODE])
def test_every_answer_is_a_member_of_its_space(engine: SupervisedEngine, way: str) -> None:
    assert outside(MIXED, engine.answer(MIXED, ways_of(MIXED, way))) == []


@pytest.mark.parametrize("way", SCORED)
def test_scores_and_answers_are_those_of_transformers(
    engine: SupervisedEngine, reference: TransformersEngine, way: str
) -> None:
    ways = ways_of(MIXED, way)
    expected = reference.answer(MIXED, ways)
    for _ in range(2):  # the second time vLLM's cache holds all of it
        for prompt, ours, theirs in zip(MIXED, engine.answer(MIXED, ways), expected, strict=True):
            assert ours is not None
            assert ours.scores == pytest.approx(theirs.scores, abs=TOLERANCE)
            count = prompt.space.count if isinstance(prompt.space, Selection) else 1
            assert ours.text == theirs.text or close_call(theirs, count)


def test_a_prompt_is_answered_alike_alone_and_in_a_mixed_batch(engine: SupervisedEngine) -> None:
    ways = ways_of(MIXED, PMI)
    together = engine.answer(MIXED, ways)
    for prompt, way, one in zip(MIXED, ways, together, strict=True):
        other = engine.answer([prompt], [way])[0]
        assert one is not None
        assert other is not None
        assert one.text == other.text
        assert one.scores == pytest.approx(other.scores, abs=TOLERANCE)


def test_texts_are_those_of_transformers_token_by_token(
    engine: SupervisedEngine, reference: TransformersEngine
) -> None:
    spaces = (
        Text(6),
        Text(30, stop=("\n\n",)),
        Text(40, stop=("e", "1")),
        Text(3, stop=()),
        Text(12, keep=("XK-200",)),
    )
    prompts = [ask(space, question) for space in spaces for question in ("Why?", "Write about a mug.", *HOSTILE[:3])]
    ways = [WRITE] * len(prompts)
    assert engine.answer(prompts, ways) == reference.answer(prompts, ways)


@pytest.mark.parametrize("way", [*SCORED, DECODE])
def test_no_question_moves_an_answer_out_of_its_space(engine: SupervisedEngine, way: str) -> None:
    options = [prompt for prompt in MIXED if isinstance(prompt.space, Choice | Selection)]
    prompts = [replace(p, user=text, bare=p.bare and text) for text in HOSTILE for p in options]
    assert outside(prompts, engine.answer(prompts, ways_of(prompts, way))) == []


@pytest.mark.parametrize("count", [1, 4, 6])
def test_labels_of_a_long_list_are_written_in_parts_and_differ(engine: SupervisedEngine, count: int) -> None:
    prompts = [ask(Selection(NUMBERS, count)), ask(Selection(("1", "12", "123"), 2))]
    assert outside(prompts, engine.answer(prompts, [DECODE] * 2)) == []


def test_more_labels_than_vllm_tells_at_once_are_all_scored(
    engine: SupervisedEngine, reference: TransformersEngine
) -> None:
    prompt = ask(Choice(tuple(map(str, range(200)))), cue="")
    ours, theirs = engine.answer([prompt], [LABEL])[0], reference.answer([prompt], [LABEL])[0]
    assert ours is not None
    assert ours.scores == pytest.approx(theirs.scores, abs=TOLERANCE)


def test_prompts_over_the_limit_are_cut_and_answered(engine: SupervisedEngine) -> None:
    long = "Which of these? " * 2000
    prompts = [ask(Choice(("1", "2"), ("mug " * 300, "cup")), long), ask(Text(8), long)]
    assert outside(prompts, engine.answer(prompts, [PMI, WRITE])) == []


def test_the_usermodel_answers_every_task_type_with_it(engine: SupervisedEngine, settings: EngineSettings) -> None:
    model = ShopBenchModel(replace(Settings(), engine=settings), engine)
    for task_type, question in QUESTIONS.items():
        answers = model.batch_predict({"prompt": [question] * 2}, task_type is TaskType.MULTIPLE_CHOICE)
        assert all(answers)
    assert model.fallbacks == {}
    assert model.describe()["weights"]["engine"] == "vllm"  # type: ignore[index]


def test_what_was_read_and_written_is_counted(engine: SupervisedEngine) -> None:
    before = replace(engine.usage())
    engine.answer([ask(Text(30, stop=()), "Count!"), MIXED[0]], [WRITE, PMI])
    after = engine.usage()
    assert after.prefill_tokens > before.prefill_tokens
    assert after.decode_tokens > before.decode_tokens
    assert after.decode_seconds > before.decode_seconds


def test_when_vllm_dies_the_engine_is_lost_and_nothing_of_it_stays(engine: SupervisedEngine) -> None:
    """The last test: it ends the engine."""
    started = psutil.Process(engine.pid).children(recursive=True)
    core = next(process for process in started if "EngineCore" in process.name() + " ".join(process.cmdline()))
    core.kill()
    with pytest.raises(LostEngineError):
        engine.answer([MIXED[0]], [LABEL], seconds=60.0)
    engine.close()
    _, alive = psutil.wait_procs(started, timeout=30)
    assert alive == []
