"""Each variant of a prompt can be chosen by the settings, and one that does not exist is refused at the start."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from models.engines.scripted import ScriptedEngine
from models.settings import Settings, load_settings
from models.shopbench_model import ShopBenchModel
from prompts import generation, multiple_choice, named_entity_recognition, ranking, retrieval
from prompts.settings import PromptSettings
from retrieval.settings import KnowledgeSettings
from utilities.errors import UserError
from utilities.task_type import TaskType

MODULES: dict[str, ModuleType] = {
    "multiple_choice": multiple_choice,
    "retrieval": retrieval,
    "ranking": ranking,
    "generation": generation,
    "named_entity_recognition": named_entity_recognition,
}
EVERY_VARIANT = [(field, name) for field, module in MODULES.items() for name in module.VARIANTS]


def prompts_with(field: str, value: Any) -> PromptSettings:
    return replace(PromptSettings(), **{field: value})


@pytest.mark.parametrize(("field", "name"), EVERY_VARIANT)
def test_every_listed_variant_builds(field: str, name: str) -> None:
    settings = Settings(prompts=prompts_with(field, name), knowledge=KnowledgeSettings(similarity="lexical"))
    model = ShopBenchModel(settings, ScriptedEngine())
    assert model.settings.prompts == settings.prompts


@pytest.mark.parametrize("field", MODULES)
def test_a_variant_that_is_not_listed_is_refused_at_the_start_with_the_file_and_those_there_are(
    field: str, tmp_path: Path
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"prompts: {{{field}: bsae}}\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_settings(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: prompts.{field} is")
    assert "'bsae'" in message
    assert all(name in message for name in MODULES[field].VARIANTS)


def test_there_is_a_setting_for_every_task_type() -> None:
    assert {task_type.name.lower() for task_type in TaskType} == set(MODULES)
