"""Four questions with their answers, and the reading of a run's scores."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROWS: Sequence[Mapping[str, object]] = [
    {"task": "options", "task_type": "multiple-choice", "metric": "accuracy", "output_field": 2},
    {"task": "shelf", "task_type": "ranking", "metric": "ndcg", "output_field": [1, 0]},
    {"task": "options", "task_type": "multiple-choice", "metric": "accuracy", "output_field": 1},
    {"task": "slogan", "task_type": "generation", "metric": "rougel", "output_field": "赤い dress"},
]
ANSWERS = ["2", "1,2", "9", "赤い dress"]


def saved(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return record
