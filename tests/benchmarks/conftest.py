import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROWS: Sequence[Mapping[str, object]] = [
    {"task": "options", "task_type": "multiple-choice", "metric": "accuracy", "output_field": 1},
    {"task": "options", "task_type": "multiple-choice", "metric": "accuracy", "output_field": 0},
    {"task": "shelf", "task_type": "retrieval", "metric": "hit rate@3", "output_field": [1, 4]},
    {"task": "order", "task_type": "ranking", "metric": "ndcg", "output_field": [1, 0, 0.1, 0, 0]},
    {"task": "phrase", "task_type": "generation", "metric": "rougel", "output_field": "long battery"},
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    items = "\n".join(f"{number}. lamp {number}" for number in range(1, 6))
    rows = [{**row, "input_field": f"Question {index}: which lamp?\n{items}"} for index, row in enumerate(ROWS)]
    path = tmp_path / "questions.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def tiny_weights(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOPALIGN_WEIGHTS", str(tiny_folder))
    return tiny_folder
