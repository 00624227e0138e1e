"""The command line of a small fine-tuning run, and the model that is quantised."""

from pathlib import Path

import pytest

from tests.tuning.finetuning import make_command
from tests.tuning.quantising import LAYERS, SHAPE


@pytest.fixture
def command(tmp_path: Path, tiny_folder: Path) -> list[str]:
    return make_command(tmp_path, tiny_folder)


@pytest.fixture(scope="session")
def source(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_model import save_tiny_model

    folder = tmp_path_factory.mktemp("dense")
    save_tiny_model(folder, num_hidden_layers=LAYERS, **SHAPE)
    return folder
