"""Every tool that takes weights names a broken folder in one sentence, with exit code 2, before it does anything."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import local_evaluation
from tests.models.engines.weights.broken_weights import ADAPTERS, MODELS
from tests.models.engines.weights.tiny_weights import write_adapter, write_model
from tests.tuning.finetuning import make_command
from utilities.errors import exit_code
from utilities.files import ROOT

pytestmark = pytest.mark.slow

RECIPE = ROOT / "tuning" / "recipes" / "hybridize_slerp.yaml"


def evaluated(folder: Path, work: Path) -> int:
    return local_evaluation.main(["--weights", str(folder), "--limit", "1", "--output", str(work / "out")])


def finetuned(folder: Path, work: Path) -> int:
    from tuning import finetune

    return finetune.main(make_command(work, folder))


def hybridised(folder: Path, work: Path) -> int:
    from tuning import hybridize

    other = write_model(work / "other")
    named = ["--recipe", str(RECIPE), "--output", str(work / "out")]
    return hybridize.main([*named, "--parents", str(folder), str(other)])


def quantised(folder: Path, work: Path) -> int:
    from tuning import quantize

    return quantize.main(["--source", str(folder), "--output", str(work / "out"), "--device", "cpu"])


def applied(folder: Path, work: Path) -> int:
    from tuning import apply_adapter

    adapter = write_adapter(work / "adapter")
    return apply_adapter.main(["--base", str(folder), "--adapter", str(adapter), "--output", str(work / "out")])


def with_adapter(folder: Path, work: Path) -> int:
    model = write_model(work / "model")
    named = ["--weights", str(model), "--adapter", str(folder), "--limit", "1"]
    return local_evaluation.main([*named, "--output", str(work / "out")])


def with_parent(folder: Path, work: Path) -> int:
    from tuning import hybridize

    other = write_adapter(work / "other")
    named = ["--recipe", str(RECIPE), "--output", str(work / "out")]
    return hybridize.main([*named, "--parents", str(folder), str(other)])


def with_base(folder: Path, work: Path) -> int:
    from tuning import apply_adapter

    base = write_model(work / "base")
    return apply_adapter.main(["--base", str(base), "--adapter", str(folder), "--output", str(work / "out")])


Tool = Callable[[Path, Path], int]


def sentence(tool: Tool, folder: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that a tool prints about a broken folder."""
    work.mkdir()
    assert exit_code(lambda: tool(folder, work)) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {folder}") or "there is no adapter" in printed
    assert printed.count("\n") == 1
    assert "out of memory" not in printed
    return printed


@pytest.mark.parametrize("tool", [evaluated, finetuned, hybridised, quantised, applied])
def test_a_tool_names_each_broken_model(tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for number, (name, broken) in enumerate(MODELS.items()):
        folder = write_model(tmp_path / f"model{number}")
        broken.damage(folder)
        printed = sentence(tool, folder, tmp_path / f"work{number}", capsys)
        if not re.search(broken.words, printed):
            wrong.append(f"{name}: {printed}")
    assert not wrong


@pytest.mark.parametrize("tool", [with_adapter, with_parent, with_base])
def test_a_tool_names_each_broken_adapter(tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for number, (name, broken) in enumerate(ADAPTERS.items()):
        folder = write_adapter(tmp_path / f"adapter{number}")
        broken.damage(folder)
        printed = sentence(tool, folder, tmp_path / f"work{number}", capsys)
        if not re.search(broken.words, printed):
            wrong.append(f"{name}: {printed}")
    assert not wrong
