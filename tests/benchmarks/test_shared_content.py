import json
from pathlib import Path

from benchmarks import shared_content

TITLE = "Norvane stainless steel water bottle with bamboo lid and carrying loop, large"


def written(path: Path, texts: list[str]) -> str:
    rows = [{"input_field": text, "output_field": "x", "task_name": "describe", "metric": "rougel"} for text in texts]
    rows = [{**row, "task_type": "generation"} for row in rows]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)


def test_questions_that_share_content_with_trained_rows_are_named_by_line(tmp_path: Path) -> None:
    rows = written(tmp_path / "rows.jsonl", [f"Describe '{TITLE}' in a sentence.", "Describe 'a lamp' in a sentence."])
    data = written(tmp_path / "data.jsonl", ["Describe 'a red chair' in a sentence.", f"Praise the '{TITLE}' briefly."])
    results = tmp_path / "results.json"
    assert shared_content.main(["--rows", rows, "--data", data, "--results", str(results)]) == 0
    assert json.loads(results.read_text(encoding="utf-8"))["report"]["shared"] == {"data.jsonl": [2]}
