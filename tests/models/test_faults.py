"""What an engine in its own process may do to a batch: the evaluator sees nothing but valid answers in time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.faulty_worker import POISON, command
from models.engines.interface import Answer, EngineError, GoneEngineError, LostEngineError, StartingEngineError
from models.engines.process.supervised import SupervisedEngine
from models.engines.settings import EngineSettings
from models.scheduling.clock import ClockSettings
from models.settings import Settings
from models.shopbench_model import ShopBenchModel
from prompts.prompt import Choice, Prompt, Text, admits
from prompts.reading import Question
from prompts.registry import BUILDERS
from prompts.settings import PromptSettings
from retrieval.knowledge import QUESTION_ALONE
from retrieval.settings import KnowledgeSettings
from utilities.errors import UserError
from utilities.task_type import TaskType

pytestmark = pytest.mark.slow

SCRIPTED = EngineSettings(name="scripted")
SECONDS_A_SAMPLE = 1.0
# What is known without the engine costs next to nothing: these tests are about the engine's time.
SETTINGS = Settings(
    engine=SCRIPTED,
    clock=ClockSettings(seconds_per_sample=SECONDS_A_SAMPLE),
    knowledge=KnowledgeSettings(similarity="lexical"),
)
QUESTIONS = [
    f"Which of these products is number {number}?\n0. a fork\n1. bottle {number}\n2. a lamp\n3. a book\nAnswer:"
    for number in range(8)
]
SPACE = BUILDERS[TaskType.MULTIPLE_CHOICE](Question(QUESTIONS[0]), PromptSettings(), QUESTION_ALONE).space
PROMPT = Prompt("", "Which?", Choice(("0", "1")), fallback="1")


@pytest.fixture
def engines() -> Iterator[list[SupervisedEngine]]:
    """Engines to be closed after the test."""
    made: list[SupervisedEngine] = []
    yield made
    for engine in made:
        engine.close()


def start(engines: list[SupervisedEngine], fault: str, number: int = 1) -> SupervisedEngine:
    engines.append(SupervisedEngine(SCRIPTED, command(fault, number)))
    return engines[-1]


def run(engine: SupervisedEngine, batches: int = 2, poisoned: int | None = None) -> tuple[ShopBenchModel, list[float]]:
    """Ask batches of eight; every answer must be valid and every batch in time."""
    model = ShopBenchModel(SETTINGS, engine)
    seconds = []
    for _ in range(batches):
        asked = [f"{question} {POISON}" if i == poisoned else question for i, question in enumerate(QUESTIONS)]
        started = time.monotonic()
        answers = model.batch_predict({"prompt": asked}, True)
        seconds.append(time.monotonic() - started)
        assert len(answers) == len(asked)
        assert all(admits(SPACE, answer) for answer in answers)
        assert seconds[-1] < SECONDS_A_SAMPLE * len(asked)
    return model, seconds


def test_an_engine_in_another_process_answers_as_it_does_in_this_one(engines: list[SupervisedEngine]) -> None:
    engine = start(engines, "none")
    odd = Prompt(
        "\ud800", '"\n\x00', Text(3, stop=("\n", "x")), fallback="a\tb", evidence={"lexical": (float("-inf"), 1.5)}
    )
    assert engine.answer([PROMPT, odd]) == [Answer("1"), Answer("a\tb")]
    assert engine.describe() == {"engine": "scripted"}
    assert engine.answer([]) == []


def test_a_sound_engine_leaves_no_trace(engines: list[SupervisedEngine]) -> None:
    model, _ = run(start(engines, "none"))
    assert model.fallbacks == {}
    assert model.events == {}


@pytest.mark.parametrize("fault", ["hang", "stop"])
def test_an_engine_that_hangs_is_replaced_and_costs_only_time(engines: list[SupervisedEngine], fault: str) -> None:
    engine = start(engines, fault, 2)
    model, _ = run(engine)
    assert engine.events["engine hung"] >= 1
    assert model.events["engine hung"] == engine.events["engine hung"]
    assert engine.events["engine restarted"] == engine.events["engine hung"]
    assert sum(model.fallbacks.values()) <= len(QUESTIONS)  # of the sixteen that were asked


def test_a_question_that_hangs_the_engine_costs_only_itself(engines: list[SupervisedEngine]) -> None:
    settings = replace(SETTINGS, clock=ClockSettings(seconds_per_sample=3.0))
    engine = start(engines, "poison")
    model = ShopBenchModel(settings, engine)
    asked = [*QUESTIONS[:3], f"{QUESTIONS[3]} {POISON}", *QUESTIONS[4:]]
    model.batch_predict({"prompt": QUESTIONS}, True)
    answers = model.batch_predict({"prompt": asked}, True)
    assert all(admits(SPACE, answer) for answer in answers)
    assert model.fallbacks == {"engine hung": 1}


def test_an_engine_that_dies_is_replaced_and_no_question_is_lost(engines: list[SupervisedEngine]) -> None:
    model, _ = run(start(engines, "crash", 3), batches=4)
    assert model.events["engine died"] >= 1
    assert sum(model.fallbacks.values()) <= model.events["engine died"]


def test_an_engine_that_dies_at_every_call_leaves_what_is_known_without_it(engines: list[SupervisedEngine]) -> None:
    model, seconds = run(start(engines, "crash", 1), batches=3)
    assert sum(model.fallbacks.values()) == 3 * len(QUESTIONS)
    assert model.fallbacks["engine gone"] >= len(QUESTIONS)
    assert seconds[-1] < 0.1


def test_a_batch_that_does_not_fit_into_memory_is_asked_in_parts_that_do(engines: list[SupervisedEngine]) -> None:
    model, _ = run(start(engines, "memory", 3), batches=6)
    assert model.fallbacks == {}
    assert 1 <= model.events["batches made smaller for memory"] <= 3


def test_memory_that_is_too_small_for_one_question_leaves_evidence(engines: list[SupervisedEngine]) -> None:
    model, _ = run(start(engines, "memory", 0))
    assert model.fallbacks == {"engine failed": 2 * len(QUESTIONS)}


def test_nonsense_from_an_engine_never_reaches_the_evaluator(engines: list[SupervisedEngine]) -> None:
    model, _ = run(start(engines, "garbage", 1), batches=4)
    assert sum(model.fallbacks.values()) >= 2 * len(QUESTIONS)
    reasons = {"answer outside its space", "answer not read", "answer without finite scores", "engine failed"}
    assert set(model.fallbacks) <= reasons


def test_a_slow_engine_keeps_its_answers(engines: list[SupervisedEngine]) -> None:
    model, _ = run(start(engines, "slow", 1))
    assert model.fallbacks == {}


def test_a_lost_engine_is_named_and_comes_back(engines: list[SupervisedEngine]) -> None:
    engine = start(engines, "hang", 1)
    first = engine.pid
    with pytest.raises(LostEngineError, match=r"^engine hung: no answer within 0\.3 s$"):
        engine.answer([PROMPT], seconds=0.3)
    assert not Path(f"/proc/{first}").exists()
    with pytest.raises(StartingEngineError):
        engine.answer([PROMPT], seconds=0.0)
    with pytest.raises(LostEngineError):
        engine.answer([PROMPT], seconds=1.5)


def test_after_five_losses_in_a_row_an_engine_is_given_up(engines: list[SupervisedEngine]) -> None:
    engine = start(engines, "crash", 1)
    for _ in range(5):
        with pytest.raises(LostEngineError, match="killed by SIGKILL"):
            engine.answer([PROMPT], seconds=30.0)
    with pytest.raises(GoneEngineError):
        engine.answer([PROMPT], seconds=30.0)
    assert engine.events == {"engine died": 5, "engine restarted": 4}


def test_an_error_of_the_engine_does_not_end_it(engines: list[SupervisedEngine]) -> None:
    engine = start(engines, "memory", 1)
    with pytest.raises(EngineError, match="CUDA out of memory"):
        engine.answer([PROMPT, PROMPT])
    assert engine.answer([PROMPT]) == [Answer("1")]
    assert engine.events == {}


def test_a_closed_engine_leaves_no_process(engines: list[SupervisedEngine]) -> None:
    engine = start(engines, "none")
    assert Path(f"/proc/{engine.pid}").exists()
    engine.close()
    assert not Path(f"/proc/{engine.pid}").exists()


def test_an_engine_ends_with_the_package_even_if_that_is_killed() -> None:
    code = (
        "from benchmarks.faulty_worker import command\n"
        "from models.engines.process.supervised import SupervisedEngine\n"
        "from models.settings import EngineSettings\n"
        "engine = SupervisedEngine(EngineSettings(name='scripted'), command('hang', 1))\n"
        "print(engine.pid, flush=True)\n"
        "from tests.models.test_faults import PROMPT\n"
        "engine.answer([PROMPT])\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as package:
        assert package.stdout
        pid = int(package.stdout.readline())
        time.sleep(0.5)
        package.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    if Path(f"/proc/{pid}").exists():
        os.kill(pid, signal.SIGKILL)
        pytest.fail("the engine's process outlived the package")


def test_settings_that_make_no_engine_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model"):
        SupervisedEngine(EngineSettings(weights=str(tmp_path)))


def test_a_process_that_ends_before_it_is_ready_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"the engine.s process is not ready"):
        SupervisedEngine(SCRIPTED, (sys.executable, "-c", "import sys; sys.exit(7)"))


@pytest.mark.parametrize(("error", "before"), [("RuntimeError", 3), ("AcceleratorError", 0)])
def test_a_process_that_answers_nothing_any_more_is_replaced(
    engines: list[SupervisedEngine], error: str, before: int
) -> None:
    engine = SupervisedEngine(SCRIPTED, (sys.executable, "-m", "tests.models.failing_worker", error))
    engines.append(engine)
    poisoned = replace(PROMPT, user=POISON)
    for _ in range(before):
        with pytest.raises(EngineError) as raised:
            engine.answer([poisoned])
        assert not isinstance(raised.value, LostEngineError)
    with pytest.raises(LostEngineError, match="engine broken"):
        engine.answer([poisoned])
    assert engine.events == {"engine broken": 1, "engine restarted": 1}
    assert engine.answer([PROMPT]) == [Answer("1")]


def test_running_out_of_memory_again_and_again_says_nothing_against_a_process(engines: list[SupervisedEngine]) -> None:
    engine = start(engines, "memory", 0)
    for _ in range(9):
        with pytest.raises(EngineError, match="CUDA out of memory"):
            engine.answer([PROMPT])
    assert engine.events == {}


def test_a_process_that_dies_while_it_starts_is_started_again_after_a_pause(engines: list[SupervisedEngine]) -> None:
    engine = start(engines, "none")
    for told in ("engine died: ", "engine died while starting: "):
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(LostEngineError, match=told):
            engine.answer([PROMPT])
    with pytest.raises(StartingEngineError, match="not started again yet"):
        engine.answer([PROMPT], seconds=0.2)
    assert engine.answer([PROMPT], seconds=60) == [Answer("1")]
