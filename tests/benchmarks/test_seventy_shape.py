"""The speed of a model of 70B's shape with random 4-bit weights, on a tiny shape."""

import dataclasses
from pathlib import Path

import pytest
import torch

from benchmarks import seventy_shape
from benchmarks.random_awq import write_random_checkpoint
from models.engines.model_registry import ModelEntry, ModelShape
from models.engines.transformers_engine.engine import TransformersEngine
from prompts.prompt import Prompt
from utilities.errors import exit_code

pytestmark = pytest.mark.slow


@pytest.fixture
def random_entry(tmp_path: Path, tiny_folder: Path) -> ModelEntry:
    shape = ModelShape("llama", 2, 128, 256, 2, 1, 64, 512)
    entry = dataclasses.replace(seventy_shape.shaped_entry(2, "transformers"), tensor_parallel=1)
    entry = dataclasses.replace(entry, shape=shape, dtype="float32", weights=str(tmp_path / "random"))
    write_random_checkpoint(Path(entry.weights), entry, tiny_folder)
    return entry


def test_a_random_checkpoint_answers_and_is_measured(random_entry: ModelEntry) -> None:
    settings = dataclasses.replace(seventy_shape.engine_settings(random_entry, 1), awq="dense", device="cpu")
    engine = TransformersEngine(Path(random_entry.weights), settings)
    row = seventy_shape.timed(engine, seventy_shape.machine_of(random_entry, "t4", 1), settings, rows=2)
    assert row["prefill_tokens_a_second"] > 0 < row["decode_tokens_a_second"]
    assert 0 < row["prefill_floor_share"] < 1 > row["decode_floor_share"] > 0


def test_random_weights_have_the_size_that_the_registry_computes(random_entry: ModelEntry) -> None:
    from safetensors.torch import load_file

    files = Path(random_entry.weights).glob("*.safetensors")
    size = sum(tensor.numel() * tensor.element_size() for file in files for tensor in load_file(file).values())
    assert size == dataclasses.replace(random_entry, dtype="float16").weight_bytes


def test_a_finished_random_checkpoint_is_kept(random_entry: ModelEntry, tiny_folder: Path) -> None:
    shard = next(Path(random_entry.weights).glob("model-layer*"))
    shard.unlink()
    write_random_checkpoint(Path(random_entry.weights), random_entry, tiny_folder)
    assert not shard.exists()


def test_without_a_gpu_the_seventy_shape_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert exit_code(lambda: seventy_shape.main([])) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert "no GPU" in message
    assert "torch.cuda.is_available()" in message
    assert message.count("\n") == 1


def test_a_quarter_of_the_layers_quarters_the_speeds(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"rows": 16, "prefill_tokens_a_second": 4000, "prefill_floor_share": 0.5, "used_gb": 10.0}
    seventy_shape.print_speeds([{**row, "decode_tokens_a_second": 800, "decode_floor_share": 0.25}], layers=20)
    out = capsys.readouterr().out
    assert "1,000" in out
    assert "200" in out
    assert "measured with 20 layers" in out


def test_the_benchmarks_prompts_have_the_sizes_that_they_say() -> None:
    read, written = seventy_shape.prompts_of(3)
    assert [type(each) for each in (*read, *written)] == [Prompt] * 6
    assert len({each.user for each in read}) == 3
