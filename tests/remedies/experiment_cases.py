"""Messages of experiments; their rows are run by stubs."""

import re
from pathlib import Path

import pytest

from models.engines.settings import EngineSettings, adapter_folders
from tests.evaluation.report.report_runs import FIRST, make_run
from tests.experiments.evaluations import TABLE, Evaluations
from tests.remedies.case import PRINTED, Case
from tests.remedies.place import write_model
from tests.remedies.tuning_cases import quantizing
from utilities.errors import UserError

TABLE_OF = "experiments.run --data choices.jsonl --output out tables/"
EXPERIMENT = "experiments.run ways.yaml --data questions.jsonl --output out"


def table(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write a table, whose rows are run by a stub."""
    (folder / "ways.yaml").write_text(TABLE, encoding="utf-8")
    make_run(folder / "run", FIRST).joinpath("questions.jsonl").rename(folder / "questions.jsonl")
    patch.setattr("experiments.running.subprocess.Popen", Evaluations())


def no_rows(_: Path, patch: pytest.MonkeyPatch) -> None:
    """Let tables have no row."""
    patch.setattr("experiments.run._written", lambda *_: [])


def damaged_run(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Fill a table, and damage a finished run."""
    from experiments.run import main

    table(folder, patch)
    main([*EXPERIMENT.split()[1:]])
    next((folder / "out").glob("runs/*/answers.jsonl")).write_text("[\n", encoding="utf-8")


def missing_weights(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Run no row; weights are missing, and an adapter is there if it has a folder."""

    def check(engine: EngineSettings) -> None:
        lacking = [each for each in adapter_folders(engine).values() if each and not each.is_dir()]
        if lacking or engine.weights.endswith("-awq"):
            raise UserError("nothing is there: fetch it")

    for name in re.findall(r"{adapters}/([\w-]+)", "".join(path.read_text() for path in (folder / "tables").iterdir())):
        (folder / "adapters" / name).mkdir(parents=True, exist_ok=True)
    patch.setattr("experiments.row_plan.check_engine", check)
    patch.setattr("experiments.row_plan.identity_of", lambda *_: b"")
    patch.setattr("experiments.running._run", lambda *_: "")
    quantizing(folder, patch)
    write_model(folder / "models" / "weights" / "smollm2-135m-instruct", 576)


CASES = (
    Case("experiments/run.py", "or --all", "experiments.run --output out", "... --all", no_rows),
    Case("experiments/run.py", "name a folder", "experiments.run tables/orders.yaml ways.yaml --markdown page.md",
         "experiments.run tables/orders.yaml ways.yaml --output out --markdown pages", no_rows),
    Case("experiments/run.py", "check_folder(--output)", f"{EXPERIMENT} --output file", f"{EXPERIMENT} --output new",
         no_rows),
    Case("experiments/run.py", "check_folder(--markdown)", f"{EXPERIMENT} --markdown file",
         f"{EXPERIMENT} --markdown pages", no_rows),
    Case("experiments/tables/finetuning.yaml", "by --adapters", f"{TABLE_OF}finetuning.yaml", "... --adapters adapters",
         missing_weights),
    Case("experiments/tables/hybrids.yaml", "by --adapters", f"{TABLE_OF}hybrids.yaml", "... --adapters adapters",
         missing_weights),
    Case("experiments/tables/awq_and_dense.yaml", "--group-size 64", f"{TABLE_OF}awq_and_dense.yaml", PRINTED,
         missing_weights),
    Case("experiments/filled_table.py", "single questions: ", EXPERIMENT,
         PRINTED, table),
    Case("experiments/results.py", "--fresh runs it again", EXPERIMENT, "... --fresh", damaged_run),
)  # fmt: skip
