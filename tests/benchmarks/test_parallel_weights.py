"""Cosines between weights before and after an adapter."""

import json
from pathlib import Path

import pytest

from utilities.errors import UserError

pytestmark = pytest.mark.slow


def test_cosines_are_those_of_the_dense_weights(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors.torch import load_file

    from benchmarks import parallel_weights
    from tests.tiny_adapter import save_tiny_adapter
    from tuning import apply_adapter

    adapter, dense = save_tiny_adapter(tmp_path / "adapter", tiny_folder, 1), tmp_path / "dense"
    given = ["--base", str(tiny_folder), "--adapter", str(adapter)]
    apply_adapter.main([*given, "--output", str(dense)])
    assert parallel_weights.main([*given, "--results", str(tmp_path / "results.json")]) == 0
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["report"]
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_folder, dense))
    for module, cosine in found["cosines"].items():
        one, other = (weights[f"{module}.weight"].double().flatten() for weights in (before, after))
        assert cosine == pytest.approx(float(one @ other / one.norm() / other.norm()), abs=1e-6)
        assert not torch.equal(one, other)
    assert found["smallest"] == min(found["cosines"].values())
    assert "adapter" in capsys.readouterr().out


def test_an_adapter_of_another_base_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    from benchmarks import parallel_weights
    from tests.tiny_adapter import save_tiny_adapter
    from tests.tiny_model import save_tiny_model

    adapter = save_tiny_adapter(tmp_path / "adapter", tiny_folder, 1)
    save_tiny_model(tmp_path / "narrow", hidden_size=32)
    with pytest.raises(UserError, match="name the base of the adapter"):
        parallel_weights.main(["--base", str(tmp_path / "narrow"), "--adapter", str(adapter)])
