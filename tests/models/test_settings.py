from dataclasses import replace
from pathlib import Path

import pytest

from models.engines.model_registry import read_registry
from models.engines.registry import ENGINES, create_engine
from models.engines.scripted import ScriptedEngine
from models.engines.settings import FROM_REGISTRY, SCORINGS, EngineSettings, weights_folder
from models.scheduling.clock import ClockSettings
from models.settings import (
    ADAPTER_VARIABLE,
    DEFAULT_FILE,
    FILE_VARIABLE,
    MODEL_VARIABLE,
    WEIGHTS_VARIABLE,
    ReasoningSettings,
    Settings,
    load_settings,
)
from models.shopbench_model import ShopBenchModel
from prompts.settings import PromptSettings
from utilities.errors import UserError

OPEN = ("token_budget", "max_prompt_tokens", "vllm")


@pytest.fixture(autouse=True)
def _without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    monkeypatch.delenv(WEIGHTS_VARIABLE, raising=False)
    monkeypatch.delenv(MODEL_VARIABLE, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_settings(path)
    return str(caught.value)


@pytest.mark.slow
def test_the_default_file_gives_settings_that_work() -> None:
    settings = load_settings()
    assert 1 <= settings.batch_size <= 16
    assert settings.engine.name in ENGINES
    ShopBenchModel(settings, ScriptedEngine())


def test_every_key_of_the_default_file_is_a_field_and_every_field_is_a_key() -> None:
    """Whoever opens the file sees all that can be set."""
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    kinds = (EngineSettings, PromptSettings, ClockSettings, ReasoningSettings)
    fields = [field for kind in kinds for field in kind.__dataclass_fields__]
    assert [f for f in fields if f"  {f}:" not in text and f not in ("name", *OPEN, *FROM_REGISTRY)] == []
    assert "name, weights, adapter, dtype, chat_template, choice, selection and" in text
    assert "token_budget, max_prompt_tokens and vllm" in text


@pytest.mark.parametrize("model", read_registry())
def test_one_setting_switches_to_each_model_of_the_catalogue(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = read_registry()[model]
    file = tmp_path / "settings.yaml"
    file.write_text(f"engine:\n  model: {model}\n", encoding="utf-8")
    engine = load_settings(file).engine
    assert (engine.model, engine.name) == (model, entry.engine)
    assert all(getattr(engine, field) == getattr(entry, field) for field in FROM_REGISTRY)
    assert engine.vllm.tensor_parallel == entry.tensor_parallel
    assert engine.max_prompt_tokens + 128 <= engine.vllm.max_model_len <= entry.context_length
    file.write_text(f"engine:\n  model: {model}\n  choice: decode\n", encoding="utf-8")
    assert load_settings(file).engine == replace(engine, choice="decode")
    monkeypatch.setenv(MODEL_VARIABLE, model)
    assert load_settings(DEFAULT_FILE).engine.weights == entry.weights


def test_a_model_that_the_catalogue_lacks_is_refused_with_those_there_are(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("engine:\n  model: gpt-2\n", encoding="utf-8")
    with pytest.raises(UserError, match="no model 'gpt-2'; choose one of: smollm2-135m-instruct, llama3-70b-awq"):
        load_settings(file)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("share: 1.0", "share is 1.0"),
        ("share: 0", "share"),
        ("minutes: -1", "minutes"),
        ("spare: all", "spare is 'all'"),
        ("orders: 1", "orders is 1"),
        ("questions: 2.5", "clock.questions is 2.5"),
    ],
)
def test_a_clock_that_makes_no_sense_is_refused(tmp_path: Path, line: str, part: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"clock:\n  {line}\n", encoding="utf-8")
    with pytest.raises(UserError, match=part):
        load_settings(file)


def test_an_empty_file_gives_the_defaults(path: Path) -> None:
    path.write_text("# nothing yet\n", encoding="utf-8")
    tuned = EngineSettings(adapter=read_registry()[EngineSettings.model].adapter)
    assert load_settings(path) == Settings(engine=tuned)
    assert load_settings(path) == load_settings(DEFAULT_FILE)


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
def test_a_setting_that_is_no_finite_number_is_refused(path: Path, number: str) -> None:
    path.write_text(f"clock: {{minutes: {number}}}\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"clock\.minutes is .* must be a finite number"):
        load_settings(path)


@pytest.mark.parametrize(
    ("line", "variables", "adapter"),
    [
        ("{}", {}, "models/adapters/smollm2-2000"),
        ("{adapter: none}", {}, ""),
        ("{adapter: mine}", {}, "mine"),
        ("{weights: elsewhere}", {}, ""),
        ("{model: phi-3-mini}", {}, ""),
        ("{}", {ADAPTER_VARIABLE: "none"}, ""),
        ("{}", {WEIGHTS_VARIABLE: "elsewhere"}, ""),
        ("{}", {WEIGHTS_VARIABLE: "elsewhere", ADAPTER_VARIABLE: "mine"}, "mine"),
    ],
)
def test_the_adapter_is_the_models_own_unless_another_or_other_weights_are_named(
    path: Path, monkeypatch: pytest.MonkeyPatch, line: str, variables: dict[str, str], adapter: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    path.write_text(f"engine: {line}\n", encoding="utf-8")
    assert load_settings(path).engine.adapter == adapter


def test_values_reach_their_fields(path: Path) -> None:
    path.write_text("batch_size: 4\nengine: {choice: label}\nclock: {share: 0.5, minutes: 1}\n", encoding="utf-8")
    settings = load_settings(path)
    assert (settings.batch_size, settings.engine.choice) == (4, "label")
    assert settings.clock.minutes == pytest.approx(1.0)
    assert isinstance(settings.clock.minutes, float)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("batchsize: 4", "batchsize"),
        ("engine: {wieghts: x}", "wieghts"),
        ("prompts: {rnking: base}", "rnking"),
        ("1: 2", "1"),
        ("batch_size: four", "batch_size"),
        ("batch_size: 4.0", "batch_size"),
        ("batch_size: true", "batch_size"),
        ("batch_size:", "batch_size"),
        ("batch_size: [4]", "batch_size"),
        ("engine: transformers", "engine"),
        ("engine:", "engine"),
        ("engine: {token_budget: '1024'}", "token_budget"),
        ("engine: {weights: 3}", "weights"),
        ("engine: {weights: 2024-01-01}", "weights"),
        ("clock: {share: half}", "share"),
        ("clock: {share: true}", "share"),
        ("knowledge: {fuse: {ranking: 1}}", "knowledge.fuse.ranking"),
        ("knowledge: {fuse: {sorting: true}}", "sorting"),
        ("prompts: {external_information: 1.5}", "external_information"),
        ("batch_size: 0", "batch_size"),
        ("batch_size: 17", "batch_size"),
        ("engine: {token_budget: 63}", "token_budget"),
        ("engine: {max_prompt_tokens: 0}", "max_prompt_tokens"),
        ("engine: {dtype: float8}", "dtype"),
        ("engine: {device: tpu}", "device"),
        ("engine: {choice: guess}", "choice"),
        ("engine: {selection: PMI}", "selection"),
        ("prompts: {external_information: -1}", "external_information"),
        ("prompts: {external_tokens: -1}", "external_tokens"),
        ("prompts: {exemplars: -1}", "exemplars"),
        ("prompts: {exemplar_tokens: -1}", "exemplar_tokens"),
        ("prompts: {dynamic_exemplars: 1}", "prompts.dynamic_exemplars"),
        ("reasoning: {source: gpt-2}", "gpt-2"),
        ("reasoning: {source: ''}", "there is no model ''"),
        ("reasoning: {words: 0}", "reasoning.words"),
        ("reasoning: {share: 1}", "reasoning.share"),
        ("reasoning: {kinds: [ranking]}", "reasoning.kinds"),
        ("reasoning: {kinds: choice}", "reasoning.kinds"),
        ("knowledge: {similarity: words}", "knowledge.similarity"),
        ("knowledge: {similarity: lexical+lexical}", "knowledge.similarity"),
        ("knowledge: {combine: sum}", "knowledge.combine"),
        ("knowledge: {related: -1}", "knowledge.related"),
    ],
)
def test_a_wrong_key_or_value_is_named_in_one_line(path: Path, content: str, named: str) -> None:
    path.write_text(content, encoding="utf-8")
    message = refusal(path)
    assert named in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "content",
    [b"batch_size: [", b"a: b: c", b"\tbatch_size: 4", b"- 1\n- 2", b"4", b"text", b"\xff\xfe\x00", b"x: \x00"],
)
def test_a_file_that_holds_no_settings_is_named_in_one_line(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    message = refusal(path)
    assert str(path) in message
    assert "\n" not in message


def test_a_file_that_asks_to_run_code_is_refused(path: Path) -> None:
    path.write_text("batch_size: !!python/object/apply:os.getpid []", encoding="utf-8")
    assert str(path) in refusal(path)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_named_with_the_variable_that_names_another(tmp_path: Path, name: str) -> None:
    message = refusal(tmp_path / name)
    assert str(tmp_path / name) in message
    assert FILE_VARIABLE in message


def test_a_variable_names_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("batch_size: 3", encoding="utf-8")
    monkeypatch.setenv(FILE_VARIABLE, str(path))
    assert load_settings().batch_size == 3
    monkeypatch.setenv(FILE_VARIABLE, str(path) + "x")
    with pytest.raises(UserError, match=r"mine\.yamlx"):
        load_settings()


def test_a_path_that_is_given_goes_before_the_variable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("batch_size: 3", encoding="utf-8")
    monkeypatch.setenv(FILE_VARIABLE, str(DEFAULT_FILE))
    assert load_settings(path).batch_size == 3


def test_a_variable_replaces_the_weights_and_their_adapter_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_settings()
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    after = load_settings()
    assert weights_folder(after.engine) == tmp_path
    own = replace(after.engine, weights=before.engine.weights, adapter=before.engine.adapter)
    assert replace(after, engine=own) == before


def test_relative_weights_lie_in_the_repository() -> None:
    folder = weights_folder(EngineSettings(weights="models/weights/some"))
    assert folder == DEFAULT_FILE.parent / "weights" / "some"


@pytest.mark.parametrize(("name", "known"), [("name", ", ".join(ENGINES)), ("chat_template", "own, alpaca")])
def test_an_unknown_name_is_refused_with_file_and_key(tmp_path: Path, name: str, known: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"engine: {{{name}: vlm}}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"settings\.yaml: engine\.{name} is 'vlm'; choose one of: {known}"):
        load_settings(file)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        create_engine(EngineSettings(weights=str(tmp_path / "none")))
    assert str(tmp_path / "none") in str(caught.value)


def test_the_scripted_engine_needs_no_weights(tmp_path: Path) -> None:
    assert create_engine(EngineSettings(name="scripted", weights=str(tmp_path / "none"))).describe()


@pytest.mark.parametrize("way", SCORINGS)
def test_every_way_of_scoring_can_be_set_for_both_kinds_of_options(path: Path, way: str) -> None:
    path.write_text(f"engine: {{choice: {way}, selection: {way}}}", encoding="utf-8")
    engine = load_settings(path).engine
    assert (engine.choice, engine.selection) == (way, way)


@pytest.mark.parametrize(
    ("text", "environment", "place"),
    [
        ("", {"SHOPALIGN_MODEL": "foo"}, "^the environment variable SHOPALIGN_MODEL is 'foo': "),
        ("engine: {model: foo}", {}, r"settings\.yaml: engine\.model is 'foo': "),
        ("cooperation: {models: {ranking: foo}}", {}, r"settings\.yaml: cooperation\.models\.ranking is 'foo': "),
        ("reasoning: {source: foo}", {}, r"settings\.yaml: reasoning\.source is 'foo': "),
    ],
)
def test_an_unknown_model_is_named_with_the_place_that_names_it(
    tmp_path: Path, text: str, environment: dict[str, str], place: str
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=place):
        load_settings(file, environment)
