"""Which model and adapter answers which task type, and with which evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from models import cooperation
from models.cooperation import Team, answerer, engine_settings, identities, part_of
from models.engines.interface import Answer, EngineError, Usage
from models.engines.settings import EngineSettings
from models.scheduling.clock import Allowance
from models.settings import CooperationSettings, OfTaskTypes, Settings, load_settings
from models.shopbench_model import ShopBenchModel
from models.trace import start_trace
from prompts.prompt import Prompt
from retrieval.settings import KnowledgeSettings
from tests.conftest import TINY
from tests.models.test_shopbench_model import CHOICE, FREE, RANKING, by_model
from utilities.errors import UserError
from utilities.task_type import TaskType

BESIDE = CooperationSettings(
    adapters=OfTaskTypes(ranking="some/adapter", generation="none"), models=OfTaskTypes(multiple_choice="phi-3-mini")
)


LEXICAL = KnowledgeSettings(similarity="lexical")


class Engine:
    """Answers like any model and remembers what it was asked."""

    def __init__(self, settings: EngineSettings, breaks: bool = False) -> None:
        self.settings, self.breaks = settings, breaks
        self.asked: list[Prompt] = []

    def answer(self, prompts: Sequence[Prompt], ways: Sequence[str] | None = None, seconds: float = 0) -> list[Answer]:
        if self.breaks:
            raise EngineError("broken")
        self.asked += prompts
        return [by_model(prompt) for prompt in prompts]

    def usage(self) -> Usage:
        return Usage(prefill_tokens=10 * len(self.asked))

    def describe(self) -> Mapping[str, object]:
        return {"engine": self.settings.model}


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, Engine]:
    """The engines that were started, by their model."""
    started: dict[str, Engine] = {}

    def start(settings: EngineSettings) -> Engine:
        return started.setdefault(settings.model, Engine(settings))

    monkeypatch.setattr(cooperation, "start_engine", start)
    monkeypatch.setattr(cooperation, "check_engine", lambda _: None)
    return started


def test_each_task_type_is_answered_by_what_the_settings_name(engines: dict[str, Engine]) -> None:
    model = ShopBenchModel(Settings(cooperation=BESIDE, knowledge=LEXICAL))
    model.batch_predict({"prompt": [CHOICE, CHOICE + " "]}, True)
    model.batch_predict({"prompt": [RANKING, FREE]}, False)
    own, beside = engines["smollm2-135m-instruct"], engines["phi-3-mini"]
    assert [(prompt.model, prompt.adapter) for prompt in beside.asked] == [("phi-3-mini", None)] * 2
    assert [(prompt.model, prompt.adapter) for prompt in own.asked] == [("", "some/adapter"), ("", "")]
    assert own.settings.adapters == ("some/adapter", "")
    assert model.fallbacks == {}


def test_without_cooperation_prompts_are_those_of_the_builders(engines: dict[str, Engine]) -> None:
    ShopBenchModel(Settings(knowledge=LEXICAL)).batch_predict({"prompt": [RANKING]}, False)
    assert [(prompt.model, prompt.adapter) for prompt in engines["smollm2-135m-instruct"].asked] == [("", None)]


def test_a_model_that_breaks_takes_no_other_with_it(engines: dict[str, Engine]) -> None:
    both = CooperationSettings(models=OfTaskTypes(ranking="phi-3-mini"))
    model = ShopBenchModel(Settings(cooperation=both, knowledge=LEXICAL))
    engines["phi-3-mini"].breaks = True
    answers = model.batch_predict({"prompt": [RANKING, FREE]}, False)
    assert len(answers) == 2
    assert sum(model.fallbacks.values()) == 1
    assert len(engines["smollm2-135m-instruct"].asked) == 1


def test_the_record_names_every_model_and_adds_up_what_they_read(engines: dict[str, Engine]) -> None:
    team = Team(Settings(cooperation=BESIDE))
    described = team.describe()
    assert described["weights"] == {"engine": "smollm2-135m-instruct"}
    assert described["beside"]["phi-3-mini"]["weights"] == {"engine": "phi-3-mini"}
    for engine, count in zip(engines.values(), (2, 3), strict=True):
        engine.asked = [None] * count  # type: ignore[list-item]
    assert team.usage().prefill_tokens == 50


def test_weights_of_evidence_are_those_of_the_adapter_that_answers(tmp_path: Path, tiny_folder: Path) -> None:
    from tests.tiny_adapter import save_tiny_adapter

    adapter = save_tiny_adapter(tmp_path / "one", tiny_folder, 1)
    engine = replace(TINY, weights=str(tiny_folder))
    found = identities(
        Settings(engine=engine, cooperation=CooperationSettings(adapters=OfTaskTypes(ranking=str(adapter))))
    )
    assert set(found) == {("", None), ("", str(adapter))}
    assert len({identity["weights_sha256"] for identity in found.values()}) == 2


def test_adapters_answer_their_task_types_on_one_base(tmp_path: Path, tiny_folder: Path) -> None:
    from models.engines.transformers_engine.engine import TransformersEngine
    from tests.tiny_adapter import save_tiny_adapter

    adapter = save_tiny_adapter(tmp_path / "one", tiny_folder, 1)
    engine = replace(TINY, weights=str(tiny_folder))
    settings = Settings(engine=engine, cooperation=CooperationSettings(adapters=OfTaskTypes(ranking=str(adapter))))
    wanted = engine_settings(settings)[""]
    model = ShopBenchModel(settings, TransformersEngine(tiny_folder, wanted))
    plain = ShopBenchModel(Settings(engine=engine), TransformersEngine(tiny_folder, engine))
    tuned = ShopBenchModel(
        Settings(engine=replace(engine, adapter=str(adapter))),
        TransformersEngine(tiny_folder, replace(engine, adapter=str(adapter))),
    )
    ranked, written = _scores(model)
    assert ranked == pytest.approx(_scores(tuned)[0], abs=1e-4)
    assert ranked != pytest.approx(_scores(plain)[0], abs=1e-4)
    assert written == _scores(plain)[1]


def _scores(model: ShopBenchModel) -> tuple[tuple[float, ...], str]:
    """Return the labels' scores of a ranking and the text of a generation."""
    trace = start_trace(model)
    assert trace is not None
    model.batch_predict({"prompt": [RANKING, FREE]}, False)
    return trace.questions[0].model_scores, trace.questions[1].written


def test_seconds_are_shared_by_the_questions_of_each_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 104.0)
    part = part_of(Allowance(began=100.0, seconds=10.0, limit=24.0), 0.5)
    assert (part.began, part.seconds, part.limit) == (100.0, 7.0, 14.0)
    assert part_of(Allowance(100.0, 2.0, 3.0), 0.5).limit == 4.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cooperation: {models: {ranking: nothing}}", "nothing"),
        ("cooperation: {models: {ranks: phi-3-mini}}", "ranks"),
        ("cooperation: {models: {ranking: phi-3-mini}, adapters: {ranking: a}}", "both name something for ranking"),
    ],
)
def test_a_mistake_in_the_settings_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=words):
        load_settings(path)


def test_a_task_type_without_an_entry_is_answered_by_the_engine_as_it_is() -> None:
    assert answerer(BESIDE, TaskType.RETRIEVAL) == ("", None)
    assert answerer(BESIDE, TaskType.GENERATION) == ("", "")
    assert answerer(BESIDE, TaskType.MULTIPLE_CHOICE) == ("phi-3-mini", None)


def test_a_missing_adapter_ends_the_start_in_one_sentence(tiny_folder: Path) -> None:
    engine = replace(TINY, weights=str(tiny_folder))
    missing = CooperationSettings(adapters=OfTaskTypes(ranking="no/such/adapter"))
    with pytest.raises(UserError, match="there is no adapter in"):
        Team(Settings(engine=engine, cooperation=missing))
