"""What a row of an experiment's table is run with, and what tells it from another."""

from pathlib import Path

import pytest
import yaml

from experiments.base import base_settings, inherited
from experiments.planning import Options, Planned, plan
from experiments.table import read_table
from tests.evaluation.report.report_runs import make_run
from utilities.typed_yaml import read_mapping


@pytest.fixture(autouse=True)
def questions(tmp_path: Path) -> None:
    make_run(tmp_path / "any")
    (tmp_path / "questions.jsonl").write_bytes((tmp_path / "any" / "questions.jsonl").read_bytes())


def planned_rows(tmp_path: Path, environment: dict[str, str] | None = None, **engine: str) -> list[Planned]:
    rows = [{"name": "one", "settings": {"engine": engine}}]
    (tmp_path / "t.yaml").write_text(yaml.safe_dump({"title": "t", "question": "q", "rows": rows}), encoding="utf-8")
    options = Options(tmp_path / "out", tmp_path, base_settings(environment or {}))
    return plan(read_table(tmp_path / "t.yaml"), tmp_path / "questions.jsonl", options)


def test_rows_are_laid_over_the_settings_and_the_model_of_the_environment(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "mine.yaml").write_text("batch_size: 5\nengine: {adapter: some/adapter}\n", encoding="utf-8")
    given = {"SHOPALIGN_SETTINGS": str(tmp_path / "mine.yaml"), "SHOPALIGN_WEIGHTS": str(tiny_folder)}
    [planned] = planned_rows(tmp_path, given, choice="label")
    asked = read_mapping(planned.folder / "settings.yaml", "the settings", "")
    assert asked["batch_size"] == 5
    assert asked["engine"] == {"weights": str(tiny_folder), "adapter": "none", "choice": "label"}
    assert base_settings(given).name == f"mine.yaml, weights {tiny_folder.name}"


def test_a_row_with_a_model_of_its_own_takes_no_weights_of_another(tmp_path: Path) -> None:
    given = {"SHOPALIGN_WEIGHTS": "some/weights", "SHOPALIGN_ADAPTER": "some/adapter"}
    [planned] = planned_rows(tmp_path, given, model="llama3-8b")
    assert planned.missing.startswith("no model weights at")
    assert planned.missing.partition(" at ")[2].partition(":")[0].endswith("models/weights/llama3-8b")


def test_a_row_that_names_the_model_in_force_is_that_model_and_not_other_weights_of_the_user() -> None:
    engine = {"weights": "some/weights", "adapter": "some/adapter", "adapters": ["another"], "token_budget": 5}
    assert inherited(engine, {"model": "smollm2-135m-instruct", "choice": "label"}) == {"token_budget": 5}
    assert inherited(engine, {"choice": "label"}) == engine


def test_rows_are_scored_anew_where_more_tasks_can_be_scored(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"SHOPALIGN_WEIGHTS": str(tiny_folder)}
    (tmp_path / "embeddings").mkdir()
    monkeypatch.setenv("SHOPALIGN_MULTILINGUAL_EMBEDDINGS", str(tmp_path / "embeddings"))
    [before] = planned_rows(tmp_path, given)
    for name in ("modules.json", "model.safetensors"):
        (tmp_path / "embeddings" / name).write_bytes(b"{}")
    [after] = planned_rows(tmp_path, given)
    assert before.folder != after.folder


@pytest.mark.parametrize("part", ["fused.yaml", "catalog/catalog.json"])
def test_other_content_of_a_file_that_evidence_is_made_with_asks_for_a_new_row(
    tmp_path: Path, tiny_folder: Path, part: str
) -> None:
    knowledge = {"weights": str(tmp_path / "fused.yaml"), "catalog": str(tmp_path / "catalog")}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"knowledge": knowledge}), encoding="utf-8")
    (tmp_path / "catalog").mkdir()
    given = {"SHOPALIGN_SETTINGS": str(tmp_path / "mine.yaml"), "SHOPALIGN_WEIGHTS": str(tiny_folder)}
    folders = []
    for content in ("one", "two", "one"):
        (tmp_path / part).write_text(content, encoding="utf-8")
        [planned] = planned_rows(tmp_path, given)
        folders.append(planned.folder)
    assert folders[0] == folders[2] != folders[1]


def test_the_same_weights_elsewhere_are_the_same_row(tmp_path: Path, tiny_folder: Path) -> None:
    from tests.tiny_adapter import save_tiny_adapter

    rows = "rows: [{name: one, settings: {engine: {adapter: '{adapters}/one'}}}]\n"
    settings = f"settings: {{engine: {{weights: {tiny_folder}}}}}\n"
    (tmp_path / "t.yaml").write_text(f"title: t\nquestion: q\n{settings}{rows}", encoding="utf-8")
    folders = []
    for place, seed in (("here", 1), ("there", 1), ("other", 2)):
        save_tiny_adapter(tmp_path / place / "one", tiny_folder, seed)
        table = read_table(tmp_path / "t.yaml")
        [planned] = plan(
            table, tmp_path / "questions.jsonl", Options(tmp_path / "out", tmp_path / place, base_settings({}))
        )
        folders.append(planned.folder)
    assert folders[0] == folders[1] != folders[2]
