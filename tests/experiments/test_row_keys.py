"""A row is run anew when its settings, weights, evidence or scorers change, and only then."""

from pathlib import Path

import pytest
import yaml

from experiments.row_plan import Options, Planned, plan
from experiments.row_settings import base_settings, inherited
from experiments.table import read_table
from tests.evaluation.report.report_runs import make_run
from tests.models.engines.weights.tiny_weights import write_adapter, write_model
from utilities.typed_yaml import read_mapping


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights that are hashed and never loaded."""
    return write_model(tmp_path_factory.mktemp("weights"))


def written(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("{}", encoding="utf-8")


@pytest.fixture(autouse=True)
def questions(tmp_path: Path) -> None:
    make_run(tmp_path / "any")
    (tmp_path / "questions.jsonl").write_bytes((tmp_path / "any" / "questions.jsonl").read_bytes())


def planned_rows(tmp_path: Path, environment: dict[str, str] | None = None, **engine: str) -> list[Planned]:
    rows = [{"name": "one", "settings": {"engine": engine}}]
    (tmp_path / "t.yaml").write_text(yaml.safe_dump({"title": "t", "question": "q", "rows": rows}), encoding="utf-8")
    options = Options(tmp_path / "out", tmp_path, base_settings(environment or {}))
    return plan(read_table(tmp_path / "t.yaml"), tmp_path / "questions.jsonl", options)


def test_more_scorable_tasks_make_a_new_row(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"SHOPALIGN_WEIGHTS": str(weights)}
    monkeypatch.setenv("SHOPALIGN_MULTILINGUAL_EMBEDDINGS", str(tmp_path / "embeddings"))
    [before] = planned_rows(tmp_path, given)
    written(tmp_path / "embeddings", "modules.json", "model.safetensors")
    [after] = planned_rows(tmp_path, given)
    assert before.folder != after.folder


@pytest.mark.parametrize("part", ["fused.yaml", "catalog/catalog.json"])
def test_changed_content_of_an_evidence_file_makes_a_new_row(tmp_path: Path, weights: Path, part: str) -> None:
    knowledge = {"weights": str(tmp_path / "fused.yaml"), "catalog": str(tmp_path / "catalog")}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"knowledge": knowledge}), encoding="utf-8")
    (tmp_path / "catalog").mkdir()
    given = {"SHOPALIGN_SETTINGS": str(tmp_path / "mine.yaml"), "SHOPALIGN_WEIGHTS": str(weights)}
    folders = []
    for content in ("one", "two", "one"):
        (tmp_path / part).write_text(content, encoding="utf-8")
        [planned] = planned_rows(tmp_path, given)
        folders.append(planned.folder)
    assert folders[0] == folders[2] != folders[1]


def test_the_same_weights_elsewhere_are_the_same_row(tmp_path: Path, weights: Path) -> None:
    rows = "rows: [{name: one, settings: {engine: {adapter: '{adapters}/one'}}}]\n"
    settings = f"settings: {{engine: {{weights: {weights}}}}}\n"
    (tmp_path / "t.yaml").write_text(f"title: t\nquestion: q\n{settings}{rows}", encoding="utf-8")
    folders = []
    for place, value in (("here", 1), ("there", 1), ("other", 2)):
        write_adapter(tmp_path / place / "one", value)
        table = read_table(tmp_path / "t.yaml")
        [planned] = plan(
            table, tmp_path / "questions.jsonl", Options(tmp_path / "out", tmp_path / place, base_settings({}))
        )
        folders.append(planned.folder)
    assert folders[0] == folders[1] != folders[2]


def test_rows_override_the_settings_and_the_model_of_the_environment(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "mine.yaml").write_text("batch_size: 5\nengine: {adapter: some/adapter}\n", encoding="utf-8")
    given = {"SHOPALIGN_SETTINGS": str(tmp_path / "mine.yaml"), "SHOPALIGN_WEIGHTS": str(weights)}
    [planned] = planned_rows(tmp_path, given, choice="label")
    asked = read_mapping(planned.folder / "settings.yaml", "the settings", "")
    assert asked["batch_size"] == 5
    assert asked["engine"] == {"weights": str(weights), "adapter": "none", "choice": "label", "dtype": "float32"}
    assert base_settings(given).name == f"mine.yaml, weights {weights.name}"


def test_a_row_that_names_another_model_inherits_no_weights(tmp_path: Path) -> None:
    given = {"SHOPALIGN_WEIGHTS": "some/weights", "SHOPALIGN_ADAPTER": "some/adapter"}
    [planned] = planned_rows(tmp_path, given, model="llama3-8b")
    assert planned.missing.startswith("no model weights at")
    assert planned.missing.partition(" at ")[2].partition(":")[0].endswith("models/weights/llama3-8b")


def test_a_row_that_names_the_model_in_use_inherits_no_weights_of_the_user() -> None:
    engine = {"weights": "some/weights", "adapter": "some/adapter", "adapters": ["another"], "token_budget": 5}
    assert inherited(engine, {"model": "smollm2-135m-instruct", "choice": "label"}) == {"token_budget": 5}
    assert inherited(engine, {"choice": "label"}) == engine
