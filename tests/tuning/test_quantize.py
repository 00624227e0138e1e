import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from evaluation.questions import read_questions
from models.engines.transformers_engine.loading import load_causal_lm
from tests.tiny_awq import quantise_folder
from tests.tiny_model import save_tiny_model
from tuning.calibration_texts import DEVELOPMENT, calibration_rows
from tuning.quantize import main
from tuning.shop_texts import shop_texts
from tuning.source_model import check_source
from utilities.errors import UserError, exit_code
from utilities.files import ROOT

needs_gptqmodel = pytest.mark.skipif(find_spec("gptqmodel") is None, reason="gptqmodel is not installed")

LAYERS = 6
SHAPE: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 192, "initializer_range": 0.05}
SMALL = ("--rows", "4", "--max-tokens", "64", "--group-size", "32", "--device", "cpu")


@pytest.fixture(scope="module")
def source(_one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dense")
    save_tiny_model(folder, num_hidden_layers=LAYERS, **SHAPE)
    return folder


def command(source: Path, output: Path, *others: str) -> list[str]:
    return ["--source", str(source), "--output", str(output), *SMALL, *others]


def started(source: Path, output: Path) -> "subprocess.Popen[bytes]":
    """Start the command in a process of its own, which may be killed; what it says goes to a file beside the output."""
    arguments = [sys.executable, "-m", "tuning.quantize", *command(source, output)]
    with said_in(output).open("wb") as file:
        return subprocess.Popen(arguments, cwd=ROOT, stderr=file, env={**os.environ, "COLUMNS": "80"})


def said_in(output: Path) -> Path:
    return output.with_suffix(".said")


def ended(process: "subprocess.Popen[bytes]", output: Path) -> str:
    """Wait for the end and return what was said."""
    process.wait(timeout=300)
    return said_in(output).read_text(encoding="utf-8", errors="replace")


@pytest.fixture(scope="module")
def quantised_folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("awq") / "tiny-awq"
    process = started(source, output)
    errors = ended(process, output)
    assert process.returncode == 0, errors
    assert f"{LAYERS}/{LAYERS}" in errors
    return output


@torch.inference_mode()
def logits(folder: Path, awq: str = "dense") -> torch.Tensor:
    model = load_causal_lm(folder, torch.float32, "cpu", awq)
    found: torch.Tensor = model(input_ids=torch.arange(20, 120)[None]).logits
    return found


@needs_gptqmodel
def test_the_quantised_folder_is_what_autoawq_would_have_written(source: Path, quantised_folder: Path) -> None:
    config = json.loads((quantised_folder / "config.json").read_text(encoding="utf-8"))
    reference = json.loads((ROOT / "tests/awq/llama/config.json").read_text(encoding="utf-8"))
    assert config["quantization_config"] == reference["quantization_config"]
    assert config["dtype"] == reference["dtype"]
    tensors = load_file(quantised_folder / "model.safetensors")
    ours = {name: (tensor.dtype, tensor.dim()) for name, tensor in tensors.items() if ".layers.0." in name}
    autoawqs = load_file(ROOT / "tests/awq/llama/model.safetensors")
    assert ours == {name: (tensor.dtype, tensor.dim()) for name, tensor in autoawqs.items() if ".layers.0." in name}
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (quantised_folder / name).read_bytes() == (source / name).read_bytes()


@needs_gptqmodel
def test_the_quantised_model_stays_near_the_dense_one(source: Path, quantised_folder: Path) -> None:
    wanted = logits(source)
    assert (logits(quantised_folder) - wanted).square().mean() < 0.15 * wanted.var()


@needs_gptqmodel
def test_the_quantised_model_runs_through_the_kernels(quantised_folder: Path) -> None:
    dense, packed = logits(quantised_folder), logits(quantised_folder, "kernels")
    assert (packed - dense).abs().mean() < 0.05 * dense.std()


@needs_gptqmodel
def test_a_run_that_was_stopped_and_killed_goes_on_and_ends_with_the_same_weights(
    source: Path, quantised_folder: Path, tmp_path: Path
) -> None:
    output, work = tmp_path / "tiny-awq", tmp_path / "tiny-awq.partial"
    stopped = started(source, output)
    wait_for_layers(work, 1, stopped, output)
    stopped.send_signal(signal.SIGINT)
    assert f"the same command goes on with the layers in {work}" in ended(stopped, output)
    assert stopped.returncode == 130
    with pytest.raises(UserError, match="partial was begun with another settings and calibration_sha256"):
        main(command(source, output, "--rows", "5"))
    killed = started(source, output)
    wait_for_layers(work, 3, killed, output)
    killed.kill()
    killed.wait()
    assert not output.exists()
    finished = started(source, output)
    errors = ended(finished, output)
    assert finished.returncode == 0, errors
    # The third may have been killed between its matrices and the note that it is finished.
    assert re.search("going on behind [2-6] finished layers", errors)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (output, quantised_folder))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not work.exists()


def wait_for_layers(work: Path, layers: int, process: "subprocess.Popen[bytes]", output: Path) -> None:
    """Wait until gptqmodel has made that many layers durable."""
    deadline = time.monotonic() + 240
    while cursor(work) < layers:
        assert process.poll() is None, ended(process, output)
        assert time.monotonic() < deadline
        time.sleep(0.02)


def cursor(work: Path) -> int:
    found = 0
    for path in (work / "layers" / "objects").glob("*"):
        try:
            content = path.read_bytes()
        except OSError:  # collected meanwhile
            continue
        if content[:1] == b"{" and b'"cursor"' in content[:4096]:
            found = max(found, json.loads(content).get("cursor", 0))
    return found


def _nothing(folder: Path, output: Path) -> None:
    pass


def _no_folder(folder: Path, output: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _no_config(folder: Path, output: Path) -> None:
    (folder / "config.json").unlink()


def _no_weights(folder: Path, output: Path) -> None:
    (folder / "model.safetensors").unlink()


def _cut_weights(folder: Path, output: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x08")


def _quantised(folder: Path, output: Path) -> None:
    quantise_folder(folder, folder, group_size=32)


def _phi(folder: Path, output: Path) -> None:
    save_tiny_model(folder, "phi3")


def _odd_outputs(folder: Path, output: Path) -> None:
    save_tiny_model(folder, hidden_size=128, intermediate_size=96)


def _config_with(**fields: object) -> Callable[[Path, Path], None]:
    def spoil(folder: Path, output: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8")

    return spoil


def _config_is_a_list(folder: Path, output: Path) -> None:
    (folder / "config.json").write_text("[]", encoding="utf-8")


def _no_tokenizer(folder: Path, output: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def _output(folder: Path, output: Path) -> None:
    output.mkdir()


@pytest.mark.parametrize(
    ("spoil", "others", "says"),
    [
        (_no_folder, (), "is no folder: name a model in Hugging Face layout"),
        (_no_config, (), "config.json cannot be read"),
        (_no_weights, (), "holds no linear layer"),
        (_cut_weights, (), "fetch the model again"),
        (_quantised, (), r"is quantised already \(awq\): name the dense model"),
        (_config_is_a_list, (), "config.json"),
        (_config_with(quantization_config=None), (), "quantization_config is null; .*: remove it"),
        (_config_with(num_hidden_layers=None), (), "num_hidden_layers is None"),
        (_no_tokenizer, (), "has no tokenizer"),
        (_nothing, ("--device", "cuda"), "torch sees no GPU here"),
        (_phi, (), "model_type is 'phi3'; gptqmodel makes"),
        (_odd_outputs, (), "has 96 outputs; AWQ wants multiples of 64"),
        (_output, (), "exists: move it away or name another folder"),
        (_nothing, ("--group-size", "128"), "groups of 128 do not divide the 192 inputs .*: give --group-size 64"),
        (_nothing, ("--group-size", "1"), "group_size is 1; it must be at least 16"),
        (_nothing, ("--bits", "8"), "bits is 8; AutoAWQ's GEMM format has 4 only"),
        (_nothing, ("--rows", "0"), "rows is 0; it must be at least 1"),
        (_nothing, ("--calibration", "{folder}/none.txt"), "none.txt: the calibration texts cannot be read"),
        (
            _nothing,
            ("--calibration", "{folder}/few.txt"),
            r"few.txt: \d+ tokens are there and 4 rows of 64 are asked for",
        ),
        (_nothing, ("--calibration", "{folder}/odd.jsonl"), "odd.jsonl, line 2: no field text or input_field"),
        (_nothing, ("--calibration", str(DEVELOPMENT)), "holds the questions that scores are taken on"),
        (_nothing, ("--recipe", "{folder}/few.txt"), "the settings are pairs of names and values"),
    ],
)
def test_bad_input_ends_in_one_sentence_and_writes_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path, Path], None],
    others: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.setattr("tuning.quantize._require_gptqmodel", lambda: None)
    folder, output = tmp_path / "dense", tmp_path / "awq"
    save_tiny_model(folder, **SHAPE)
    (folder / "few.txt").write_text("too short\n" + "A sturdy kettle for tea and coffee.\n" * 2, encoding="utf-8")
    (folder / "odd.jsonl").write_text('{"text": "A sturdy kettle for tea."}\n{"title": "x"}\n', encoding="utf-8")
    spoil(folder, output)
    given = [part.format(folder=folder) for part in others]
    with pytest.raises(UserError, match=says) as refusal:
        main(command(folder, output, *given))
    assert "\n" not in str(refusal.value)
    assert not any(output.glob("*")) if output.exists() else not list(tmp_path.glob("awq*"))
    capsys.readouterr()
    assert exit_code(lambda: main(command(folder, output, *given))) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_gptqmodel_the_way_to_get_it_is_said(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("tuning.quantize.version", missing)
    with pytest.raises(UserError, match=r"gptqmodel, which quantises, is not installed: run `pip install"):
        main(command(source, tmp_path / "awq"))


def test_a_group_size_that_fits_is_accepted(source: Path) -> None:
    assert check_source(source, 32)["num_hidden_layers"] == LAYERS


class Words:
    """A tokenizer that makes a token of every word."""

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [len(word) for word in text.split()]}


def test_texts_are_ordered_by_seed_and_joined_to_rows_of_one_length(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    texts = [{"text": " ".join(["a" * size] * 7)} for size in range(1, 30)]
    path.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    rows = calibration_rows(Words(), path, 5, 12, seed=1)
    assert [len(row) for row in rows] == [12] * 5
    joined = [token for row in rows for token in row]
    assert [joined[start : start + 7] for start in range(0, 56, 7)] == [
        [joined[start]] * 7 for start in range(0, 56, 7)
    ]
    assert rows == calibration_rows(Words(), path, 5, 12, seed=1)
    assert rows != calibration_rows(Words(), path, 5, 12, seed=2)


def test_the_own_texts_are_the_same_for_a_seed() -> None:
    assert shop_texts(50, 1) == shop_texts(50, 1)
    assert shop_texts(50, 1) != shop_texts(50, 2)


@pytest.mark.parametrize("rows", [1, 128])
def test_the_own_texts_fill_any_number_of_rows(source: Path, rows: int) -> None:
    found = calibration_rows(AutoTokenizer.from_pretrained(source), None, rows, 64, 1)
    assert [len(row) for row in found] == [64] * rows


def test_no_own_text_shares_eight_words_with_an_evaluation_question() -> None:
    asked = {run for question in read_questions(DEVELOPMENT) for run in runs(question.input_field)}
    assert asked
    assert not asked & {run for text in shop_texts(300, 3) for run in runs(text)}


def runs(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[start : start + 8]) for start in range(len(words) - 7)}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device", "layer.safetensors"), "the disk is full: make room there"),
        (MemoryError(), "the machine has too little memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "the machine has too little memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "the GPU has too little memory"),
    ],
)
def test_what_the_machine_is_short_of_is_one_sentence_and_the_layers_stay(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr("tuning.quantize._require_gptqmodel", lambda: None)
    monkeypatch.setattr("tuning.quantize._record", lambda *_: {})
    monkeypatch.setattr("tuning.quantize.quantise", fails)
    with pytest.raises(UserError, match=says):
        main(command(source, tmp_path / "awq"))
    assert (tmp_path / "awq.partial").is_dir()
    assert not (tmp_path / "awq").exists()
