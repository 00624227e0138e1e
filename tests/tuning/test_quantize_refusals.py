"""Bad input of `tuning.quantize`, and a machine that is too small: one sentence, and nothing is lost."""

import json
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from evaluation.questions import DEVELOPMENT
from tests.tiny_awq import quantise_folder
from tests.tiny_model import save_tiny_model
from tests.tuning.quantising import LAYERS, command
from tuning.quantize import check_source, main
from utilities.errors import UserError, exit_code

pytestmark = pytest.mark.slow


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
        (_no_folder, (), "no model weights at .* by --source"),
        (_no_config, (), "config.json is missing"),
        (_no_weights, (), "holds no safetensors file"),
        (_cut_weights, (), "model.safetensors is not a safetensors file"),
        (_quantised, (), "has the field quantization_config: name a dense model"),
        (_config_is_a_list, (), "config.json holds a list"),
        (_config_with(quantization_config=None), (), "has the field quantization_config: name a dense model"),
        (_config_with(num_hidden_layers=None), (), "num_hidden_layers is None"),
        (_no_tokenizer, (), "has no tokenizer"),
        (_nothing, ("--device", "cuda"), "torch finds no GPU"),
        (_phi, (), "model_type is 'phi3'; gptqmodel makes"),
        (_odd_outputs, (), "has 96 outputs; AWQ needs multiples of 64"),
        (_output, (), "exists: move it or name another folder"),
        (_nothing, ("--group-size", "128"), "groups of 128 do not divide the 192 inputs .*: use --group-size 64"),
        (_nothing, ("--group-size", "1"), "group_size is 1; it must be at least 16"),
        (_nothing, ("--bits", "8"), "bits is 8; choose one of: 4"),
        (_nothing, ("--rows", "0"), "rows is 0; it must be at least 1"),
        (_nothing, ("--calibration", "{folder}/none.txt"), "none.txt does not exist"),
        (
            _nothing,
            ("--calibration", "{folder}/few.txt"),
            r"few.txt: \d+ tokens are available, 4 rows of 64 are needed",
        ),
        (_nothing, ("--calibration", "{folder}/odd.jsonl"), "odd.jsonl, line 2: no field text or input_field"),
        (_nothing, ("--calibration", str(DEVELOPMENT)), "holds the evaluation questions"),
        (_nothing, ("--recipe", "{folder}/few.txt"), "the settings are pairs of names and values"),
    ],
)
def test_bad_input_ends_in_one_sentence_and_writes_nothing(
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path, Path], None],
    others: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.setattr("tuning.quantize.version", lambda _: "7")
    folder, output = tmp_path / "dense", tmp_path / "awq"
    shutil.copytree(source, folder)
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

    monkeypatch.setattr("tuning.quantize.version", lambda _: "7")
    monkeypatch.setattr("tuning.quantize.quantise", fails)
    with pytest.raises(UserError, match=says):
        main(command(source, tmp_path / "awq"))
    assert (tmp_path / "awq.partial").is_dir()
    assert not (tmp_path / "awq").exists()
