from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.engines.model_registry import DEFAULT_MODEL, model_entry
from models.settings import WEIGHTS_VARIABLE
from utilities.files import ROOT

if TYPE_CHECKING:
    from submission.time_budget.token_counting import Counting


@pytest.fixture
def _tiny_default(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tiny_folder))


@pytest.fixture(scope="session")
def counting(tiny_folder: Path) -> "Counting":
    """The tiny model's tokenizer."""
    from submission.time_budget.token_counting import counting_for

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_VARIABLE, str(tiny_folder))
        return counting_for(model_entry(DEFAULT_MODEL))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every seventh question: all task types and all tracks."""
    lines = (ROOT / "data" / "development.json").read_text(encoding="utf-8").splitlines()[::7]
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
