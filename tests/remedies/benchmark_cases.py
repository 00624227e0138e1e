"""Messages of the benchmarks; their measurements are replaced by stubs."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.remedies.case import Case, replaced
from tests.remedies.evaluation_cases import WRITTEN

SCALE_FILE = "benchmarks/catalog_scale.py"
COMMON = "benchmarks/common.py"
SCALE = "benchmarks.catalog_scale --titles products.jsonl --queries ranking.jsonl"
RESULTS = f"{SCALE} --sizes 10 --results"
LEAK = "benchmarks.leak --titles products.jsonl --rows ranking.jsonl --results results.json"
AWQ = "benchmarks.awq_on_cpu --results results.json"
SPEED = "benchmarks.evidence_speed --results results.json"
ENGINES = "benchmarks.engines_side_by_side --data choices.jsonl --results results.json"
PARALLEL = "benchmarks.parallel_weights --base model --results results.json"
SEVENTY = "benchmarks.seventy_shape --gpu t4 --results results.json"


def scaling(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write results that are none; a measurement ends at once."""
    (folder / "other.json").write_text("{}", encoding="utf-8")
    patch.setattr("benchmarks.catalog_scale._build", lambda *_: {})
    patch.setattr("benchmarks.catalog_scale._search", lambda *_: {})
    patch.setattr("benchmarks.catalog_scale.print_rows", lambda _: None)


def timing(_: Path, patch: pytest.MonkeyPatch) -> None:
    """Compare no evidence."""
    results = SimpleNamespace(finish=lambda _: None)
    patch.setattr("benchmarks.evidence_speed.open_results", lambda _: results)
    patch.setattr("benchmarks.evidence_speed.open_knowledge", lambda *_: SimpleNamespace(similarities={}))


def without_llama(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Start no engine."""
    (folder / "model.gguf").touch()
    patch.setattr("benchmarks.engines_side_by_side.open_results", lambda _: None)
    replaced("benchmarks.engines_side_by_side._inputs")(folder, patch)


def untuned(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Use a model without adapter, and compare no weights."""
    patch.setenv("SHOPALIGN_WEIGHTS", "model")
    replaced("benchmarks.parallel_weights.cosines")(folder, patch)


def small_disk(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Use a GPU and a disk with 10 GB left, and write no weights."""
    patch.setenv("SHOPALIGN_WEIGHTS", str(folder / "model"))
    patch.setattr("benchmarks.seventy_shape.ROOT", folder)
    patch.setattr("benchmarks.seventy_shape._gpus", lambda: 1)
    patch.setattr("benchmarks.random_awq.shutil.disk_usage", lambda _: SimpleNamespace(free=10e9))
    replaced("benchmarks.random_awq._write_weights")(folder, patch)


CASES = (
    Case(SCALE_FILE, "--queries {} holds no ranking question", f"{RESULTS} results.json --queries choices.jsonl",
         f"{RESULTS} results.json --queries ranking.jsonl", scaling),
    Case(SCALE_FILE, "--titles {} has no field", f"{RESULTS} results.json --titles choices.jsonl",
         f"{RESULTS} results.json --titles products.jsonl", scaling),
    Case(COMMON, "holds no results of a benchmark", f"{RESULTS} other.json", "... --fresh", scaling),
    Case(COMMON, "writing(--results)", f"{RESULTS} file/results.json", f"{RESULTS} results.json", scaling, (WRITTEN,)),
    Case("benchmarks/leak.py", "--data holds no ranking question", f"{LEAK} --data choices.jsonl",
         f"{LEAK} --data ranking.jsonl"),
    Case("benchmarks/awq_on_cpu.py", "check_weights(--model)", f"{AWQ} --model none", f"{AWQ} --model model",
         replaced("benchmarks.awq_on_cpu.open_results")),
    Case("benchmarks/evidence_speed.py", "name another --data", f"{SPEED} --data generation.jsonl",
         f"{SPEED} --data ranking.jsonl", timing),
    Case(COMMON, "unknown {} {}", f"{ENGINES} --ways label,no", f"{ENGINES} --ways label", without_llama),
    Case("benchmarks/engines_side_by_side.py", "by --gguf FILE", f"{ENGINES} --llama-cpp {sys.executable}",
         "... --gguf model.gguf", without_llama),
)  # fmt: skip
SLOW = (
    Case("benchmarks/parallel_weights.py", "name one by --adapter", PARALLEL, "... --adapter adapter", untuned),
    Case("benchmarks/random_awq.py", "give --layers", SEVENTY, "... --layers 1", small_disk),
)
