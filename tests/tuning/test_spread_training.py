"""A model spread over processes (FSDP) is trained as whole copies of it are, and goes on as they do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.tiny_model import save_tiny_model
from tests.tuning.test_finetune import RECIPE, REPOSITORY, make_command, metrics
from tuning.finetune_recipe import read_recipe
from tuning.training_arguments import training_arguments

LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
SPREAD = str(REPOSITORY / "tests" / "spread_on_cpus.py")
# What `accelerate launch --config_file tuning/recipes/fsdp_8_gpus.yaml` says to its processes.
LAUNCHED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}


def make_base(folder: Path, *, tied: bool) -> Path:
    save_tiny_model(folder, tie_word_embeddings=tied)
    return folder


def train(folder: Path, base: Path, *script: str, distributed: str, **environment: str) -> int:
    """Train in two processes; the adapter is `folder`/adapter."""
    folder.mkdir(exist_ok=True)
    command = make_command(folder, base)
    (folder / "recipe.yaml").write_text(f"{RECIPE}distributed: {distributed}\n", encoding="utf-8")
    told = subprocess.run(
        [*LAUNCHER, *script, *command],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        check=False,
    )
    assert told.returncode == 0 or "DIES_AT" in environment, told.stderr[-3000:]
    return told.returncode


def losses(folder: Path) -> list[float]:
    """Return the losses of all steps and of the held-out rows, but for the sum at the end."""
    lines = metrics(folder / "adapter")[:-1]
    return [line[name] for line in lines for name in ("loss", "eval_loss") if name in line]


def furthest(one: Path, other: Path) -> float:
    """Return the largest difference of the adapters' values."""
    first, second = (load_file(each / "adapter" / "adapter_model.safetensors") for each in (one, other))
    assert first.keys() == second.keys()
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)


def test_a_spread_model_learns_what_whole_copies_learn(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", tied=True)
    train(tmp_path / "whole", base, "-m", "tuning.finetune", distributed="none")
    train(tmp_path / "spread", base, SPREAD, distributed="fsdp", **LAUNCHED)
    assert losses(tmp_path / "spread") == pytest.approx(losses(tmp_path / "whole"), rel=1e-3)
    assert furthest(tmp_path / "whole", tmp_path / "spread") < 2e-3


def test_a_spread_run_that_died_goes_on_to_the_same_end(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", tied=False)
    train(tmp_path / "whole", base, SPREAD, distributed="fsdp")
    # Three batches are an epoch of two steps, and two epochs the run: what goes on has three batches left, not six.
    assert train(tmp_path / "died", base, SPREAD, distributed="fsdp", DIES_AT="5") != 0
    assert (tmp_path / "died" / "adapter.partial" / "checkpoint-2").is_dir()
    assert train(tmp_path / "died", base, SPREAD, distributed="fsdp", DIES_AT="5") == 0, "it began anew"
    assert losses(tmp_path / "died") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)
    assert furthest(tmp_path / "whole", tmp_path / "died") < 1e-4


def test_dense_weights_are_sent_from_one_process_to_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    (tmp_path / "recipe.yaml").write_text(f"{RECIPE}distributed: fsdp\n", encoding="utf-8")
    made = training_arguments(read_recipe(tmp_path / "recipe.yaml"), tmp_path / "work", 12)
    assert made.fsdp_plugin_args is not None
    assert made.fsdp_plugin_args["fsdp_version"] == 2
    assert made.fsdp_plugin_args["cpu_ram_efficient_loading"] is True
