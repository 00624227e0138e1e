"""A small data file, and the model that local_evaluation.py finds."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.evaluation.echoing import Describing
from tests.local_evaluation.small_run import ANSWERS, ROWS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "questions.json"
    rows = [json.dumps({**row, "input_field": answer}) for row, answer in zip(ROWS, ANSWERS, strict=True)]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


@pytest.fixture
def user_model(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("models.user_config")
    module.UserModel = Describing  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "models.user_config", module)


@pytest.fixture
def no_user_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "models.user_config", None)
