"""An engine that cannot start ends with one sentence, whatever its library raises, and no folder is guessed at."""

import json
from multiprocessing import Pipe
from pathlib import Path

import pytest

from models.engines.interface import Engine
from models.engines.process.wire import receive
from models.engines.process.worker import serve
from models.engines.transformers_engine.engine import TransformersEngine
from tests.conftest import TINY
from tests.tiny_model import save_tiny_model

pytestmark = pytest.mark.slow


def started(folder: Path) -> str:
    """Start the engine of a folder as its process does, and return the message for the user."""
    ours, theirs = Pipe()

    def make() -> Engine:
        return TransformersEngine(folder, TINY)

    serve(theirs, make)
    return str(receive(ours)["user_error"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_hidden_layers", "two"), ("hidden_size", None), ("model_type", "no-such-model"), ("num_attention_heads", 0)],
)
def test_a_config_that_a_library_cannot_use_ends_the_start_in_one_sentence(
    tmp_path: Path, field: str, value: object
) -> None:
    save_tiny_model(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), field: value}), encoding="utf-8")
    message = started(tmp_path)
    assert "\n" not in message
    assert "cannot" in message
    assert "Traceback" not in message


def test_a_tokenizer_of_an_unknown_kind_ends_the_start_in_one_sentence(tmp_path: Path) -> None:
    save_tiny_model(tmp_path)
    path = tmp_path / "tokenizer.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**found, "model": {**found["model"], "type": "Strange"}}), encoding="utf-8")
    message = started(tmp_path)
    assert "cannot start" in message
    assert "tokenizer" in message


def test_layers_that_the_config_does_not_count_are_not_ignored(tmp_path: Path) -> None:
    save_tiny_model(tmp_path)
    path = tmp_path / "config.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(json.dumps({**json.loads(text), "num_hidden_layers": 1, "layer_types": None}), encoding="utf-8")
    assert "no place for model.layers.1." in started(tmp_path)
