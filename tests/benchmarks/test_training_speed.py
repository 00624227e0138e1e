"""The benchmark of training speed: what is trained, and what is counted."""

from pathlib import Path

import pytest

from tests.tuning.training_rows import choice, write_rows

RECIPE = """\
model: smollm2-135m-instruct
lora: {rank: 2, alpha: 4, targets: all-linear}
limits: {prompt: 64, option: 8, options: 16, text: 8, phrases: 4}
batch: 2
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["plain", "answers"])
def test_only_as_many_rows_as_asked_for_are_trained_and_counted(
    way: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import training_speed
    from tuning.finetune_recipe import read_recipe

    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    recipe = read_recipe(tmp_path / "recipe.yaml")
    rows = write_rows(tmp_path / "rows.jsonl", [choice(index) for index in range(12)])
    seconds = iter([0.0, 2.0])
    monkeypatch.setattr("benchmarks.training_speed.time.perf_counter", lambda: next(seconds))
    found = training_speed.measure(way, rows, 6, recipe, tiny_folder, 1)
    assert found["rows_per_second"] == 3.0
