"""Messages of preflight, of the submission and of the time budget."""

import shutil
from pathlib import Path

import pytest

from submission.preflight import registry
from submission.preflight.model_run import Trial
from submission.preflight.repository import UsedSettings
from tests.remedies.case import Case, replaced
from tests.remedies.evaluation_cases import WRITTEN
from tests.submission.submission_copies import commit, git, isolate_git
from utilities.files import ROOT

CHECKED = ("track", "tag")
DATA = "repository/data/development.json"
PREFLIGHT = "submission.preflight --root repository"
SKIPPING = f"{PREFLIGHT} --skip-run"
BUDGET = "submission.time_budget --model llama3-8b --gpu t4 --data choices.jsonl"
MODULES = "submission.time_budget"
ANSWERED = Trial([{"event": "done", "fallbacks": {}}], 0, None, 0, "nothing", (), ())


def repository(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a small repository, whose model is run by a stub; the checks that a case needs are made."""
    isolate_git(patch, folder)
    root = folder / "repository"
    (folder / DATA).parent.mkdir(parents=True)
    for name in ("aicrowd.json", "Dockerfile", "data/development.json"):
        shutil.copy(ROOT / name, root / name)
    git(folder, "init", "--quiet", str(root))
    commit(root)
    settings = UsedSettings({"engine": {"name": "scripted"}}, root, ())
    patch.setattr("submission.preflight.repository.loaded_settings", lambda _: settings)
    patch.setattr("submission.preflight.model_run.run_trial", lambda *_: ANSWERED)
    patch.setattr(registry, "CHECKS", [each for each in registry.CHECKS if each[0] in CHECKED])
    patch.setattr(registry, "RUN_CHECKS", [each for each in registry.RUN_CHECKS if each[0] == "model run"])


def without_questions(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a small repository without the questions of a run."""
    repository(folder, patch)
    (folder / DATA).unlink()


def uncounted(_: Path, patch: pytest.MonkeyPatch) -> None:
    """Predict without counting tokens."""
    for name in ("token_counting.counting_for", "track_questions.count_groups", "track_questions.largest_work",
                 "prediction.Machine.memory", "printing.print_prediction"):  # fmt: skip
        patch.setattr(f"{MODULES}.{name}", lambda *_: None)
    patch.setattr(f"{MODULES}.track_questions.budgets", lambda *_: ())
    patch.setattr(f"{MODULES}.printing.Prediction.to_json", lambda _: {})


CASES = (
    Case("submission/preflight/registry.py", "--root {} is not a folder", "submission.preflight --root none --skip-run",
         SKIPPING, repository),
    Case("submission/preflight/__main__.py", "writing(--output)", f"{SKIPPING} --output file/report.json",
         f"{SKIPPING} --output report.json", repository, (WRITTEN,)),
    Case("submission/preflight/metadata.py", "--track is", f"{SKIPPING} --track 4", f"{SKIPPING} --track 3",
         repository),
    Case("submission/preflight/metadata.py", "no --tag given", SKIPPING, "... --tag submission-v1", repository),
    Case("submission/preflight/model_run.py", "skipped by --skip-run", SKIPPING, PREFLIGHT, repository),
    Case("submission/preflight/model_run.py", "or use --skip-run", PREFLIGHT, SKIPPING, without_questions),
    Case("submission/submit.py", "--message is empty", "submission.submit --track 3 --message ' '",
         "submission.submit --track 3 --message first", replaced("submission.submit._require_tools")),
    Case("submission/time_budget/__main__.py", "is a folder", f"{BUDGET} --output filled",
         f"{BUDGET} --output filled/budget.json", replaced(f"{MODULES}.__main__._predict")),
)  # fmt: skip
SLOW = (
    Case("submission/time_budget/__main__.py", "writing(--output)", f"{BUDGET} --output file/budget.json",
         f"{BUDGET} --output budget.json", uncounted),
    Case("submission/time_budget/prediction.py", "choose a number that divides both", f"{BUDGET} --count 3",
         f"{BUDGET} --count 4", uncounted),
)  # fmt: skip
