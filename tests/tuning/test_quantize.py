"""Quantising a tiny model: AutoAWQ's format, the values, resuming after a stop and a kill."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.engines.transformers_engine.loading import load_causal_lm
from tests.tuning.quantising import LAYERS, command
from tuning.quantize import main
from utilities.errors import UserError
from utilities.files import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("gptqmodel") is None, reason="gptqmodel is not installed"),
]


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


def test_the_quantised_folder_is_what_autoawq_would_have_written(source: Path, quantised_folder: Path) -> None:
    config = json.loads((quantised_folder / "config.json").read_text(encoding="utf-8"))
    reference = json.loads((ROOT / "tests/models/engines/awq/llama/config.json").read_text(encoding="utf-8"))
    assert config["quantization_config"] == reference["quantization_config"]
    assert config["dtype"] == reference["dtype"]
    tensors = load_file(quantised_folder / "model.safetensors")
    ours = {name: (tensor.dtype, tensor.dim()) for name, tensor in tensors.items() if ".layers.0." in name}
    autoawqs = load_file(ROOT / "tests/models/engines/awq/llama/model.safetensors")
    assert ours == {name: (tensor.dtype, tensor.dim()) for name, tensor in autoawqs.items() if ".layers.0." in name}
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (quantised_folder / name).read_bytes() == (source / name).read_bytes()


def test_the_quantised_model_stays_near_the_dense_one(source: Path, quantised_folder: Path) -> None:
    wanted = logits(source)
    assert (logits(quantised_folder) - wanted).square().mean() < 0.15 * wanted.var()


def test_the_quantised_model_runs_through_the_kernels(quantised_folder: Path) -> None:
    dense, packed = logits(quantised_folder), logits(quantised_folder, "kernels")
    assert (packed - dense).abs().mean() < 0.05 * dense.std()


def test_a_run_that_was_stopped_and_killed_goes_on_and_ends_with_the_same_weights(
    source: Path, quantised_folder: Path, tmp_path: Path
) -> None:
    output, work = tmp_path / "tiny-awq", tmp_path / "tiny-awq.partial"
    stopped = started(source, output)
    wait_for_layers(work, 1, stopped, output)
    stopped.send_signal(signal.SIGINT)
    assert f"the same command resumes with the layers in {work}" in ended(stopped, output)
    assert stopped.returncode == 130
    with pytest.raises(UserError, match="partial was started with another settings and calibration_sha256"):
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
    assert re.search("resuming after [2-6] finished layers", errors)
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
