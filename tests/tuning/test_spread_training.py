"""A model spread over processes (FSDP) is trained as whole copies of it are, and goes on as they do."""

import json
import os
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from safetensors.torch import load_file

from tests.tiny_model import save_tiny_model
from tests.tuning.finetuning import RECIPE, make_command, metrics
from utilities.files import ROOT

pytestmark = pytest.mark.slow

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
SPREAD = str(ROOT / "tests" / "tuning" / "spread_on_cpus.py")
# What `accelerate launch --config_file tuning/recipes/fsdp_8_gpus.yaml` says to its processes.
LAUNCHED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}


def make_base(folder: Path, *, tied: bool) -> Path:
    save_tiny_model(folder, tie_word_embeddings=tied)
    return folder


def train(folder: Path, base: Path, *script: str, distributed: str, **environment: str) -> "CompletedProcess[str]":
    """Train in two processes; the adapter is `folder`/adapter."""
    folder.mkdir(exist_ok=True)
    command = make_command(folder, base)
    (folder / "recipe.yaml").write_text(f"{RECIPE}distributed: {distributed}\n", encoding="utf-8")
    done = subprocess.run(
        [*LAUNCHER, *script, *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=False,
    )
    assert done.returncode == 0 or "DIES_AT" in environment, done.stderr[-3000:]
    return done


def losses(folder: Path) -> list[float]:
    """Return the losses of all steps and of the held-out rows, but for the sum at the end."""
    lines = metrics(folder / "adapter")[:-1]
    return [line[name] for line in lines for name in ("loss", "eval_loss") if name in line]


def furthest(one: Path, other: Path) -> float:
    """Return the largest difference of the adapters' values."""
    first, second = (load_file(each / "adapter" / "adapter_model.safetensors") for each in (one, other))
    assert first.keys() == second.keys()
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)


@pytest.fixture(scope="module")
def tied_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"), tied=True)


@pytest.fixture(scope="module")
def copies(tied_base: Path, tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, CompletedProcess[str]]":
    """A run of two processes with a whole copy of the model each."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(folder, tied_base, "-m", "tuning.finetune", distributed="none")


def test_two_processes_train_one_adapter(copies: "tuple[Path, CompletedProcess[str]]") -> None:
    folder, done = copies
    assert done.stdout.count("finished") == 1
    record = json.loads((folder / "adapter" / "training.json").read_text(encoding="utf-8"))
    # Twelve rows, two at a time in each of two processes, two batches a step: two steps an epoch, not three.
    assert record["steps"] == 4
    assert [line["step"] for line in metrics(folder / "adapter") if "loss" in line] == [1, 2, 3, 4]


def test_a_spread_model_learns_what_whole_copies_learn(
    copies: "tuple[Path, CompletedProcess[str]]", tied_base: Path, tmp_path: Path
) -> None:
    train(tmp_path / "spread", tied_base, SPREAD, distributed="fsdp", **LAUNCHED)
    assert losses(tmp_path / "spread") == pytest.approx(losses(copies[0]), rel=1e-3)
    assert furthest(copies[0], tmp_path / "spread") < 2e-3


def test_a_spread_run_that_died_goes_on_to_the_same_end(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", tied=False)
    train(tmp_path / "whole", base, SPREAD, distributed="fsdp")
    # Three batches are an epoch of two steps, and two epochs the run: what goes on has three batches left, not six.
    assert train(tmp_path / "died", base, SPREAD, distributed="fsdp", DIES_AT="5").returncode != 0
    assert (tmp_path / "died" / "adapter.partial" / "checkpoint-2").is_dir()
    assert train(tmp_path / "died", base, SPREAD, distributed="fsdp", DIES_AT="5").returncode == 0, "it began anew"
    assert losses(tmp_path / "died") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)
    assert furthest(tmp_path / "whole", tmp_path / "died") < 1e-4
