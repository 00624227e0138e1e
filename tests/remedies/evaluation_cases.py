"""Messages of local_evaluation.py, of reports, exclusion lists and experiments."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.evaluation.echoing import Describing
from tests.evaluation.report.report_runs import make_run
from tests.remedies.case import NEXT, Case
from utilities.fingerprint import sha256

OPTIONS = "evaluation/run_options.py"
WRITTEN = ("utilities/files.py", "cannot be written")
FOLDER = ("utilities/files.py", "nothing can be written in")
EVALUATE = "local_evaluation.py --data choices.jsonl --no-report --output out"
SAVED = f"{EVALUATE} --answers answers.jsonl"
EXCLUDE = "evaluation.exclusions choices.jsonl"
REPORT = "evaluation.report"


def echoing(_: Path, patch: pytest.MonkeyPatch) -> None:
    """Let a model answer that needs no weights."""
    module = ModuleType("models.user_config")
    module.UserModel = Describing  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "models.user_config", module)


def run_without_questions(folder: Path, _: pytest.MonkeyPatch) -> None:
    """Make a run that kept no questions, and whose data file has moved."""
    run = make_run(folder / "run", trace=False)
    (run / "questions.jsonl").rename(folder / "moved.jsonl")
    text = (run / "scores.json").read_text(encoding="utf-8")
    text = text.replace("gone.json", "choices.jsonl").replace('"sha256": "0"', f'"sha256": "{_moved(folder)}"')
    (run / "scores.json").write_text(text, encoding="utf-8")


def _moved(folder: Path) -> str:
    return sha256(folder / "moved.jsonl")


def other_questions(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make two runs of different questions."""
    echoing(folder, patch)
    make_run(folder / "run", trace=False)


CASES = (
    Case("evaluation/exclusions.py", "is one of the evaluation files", f"{EXCLUDE} --output choices.jsonl",
         f"{EXCLUDE} --output exclusions.jsonl"),
    Case("evaluation/exclusions.py", "writing(--output)", f"{EXCLUDE} --output file/list.jsonl",
         f"{EXCLUDE} --output list.jsonl", also=(WRITTEN,)),
    Case("evaluation/report/__main__.py", "writing(--output)", f"{REPORT} run --output file/page.html",
         f"{REPORT} run --output page.html", other_questions),
    Case("evaluation/report/runs.py", "answered other questions than",
         f"{EVALUATE} --limit 2{NEXT}{EVALUATE} --limit 3 --output other{NEXT}{REPORT} out other",
         f"{EVALUATE} --limit 2 --output other{NEXT}{REPORT} out other", other_questions),
    Case("evaluation/report/runs.py", "is not the data file of", f"{REPORT} run",
         f"{REPORT} run --data moved.jsonl", run_without_questions),
    Case(OPTIONS, "name a file by --settings", f"{EVALUATE} --limit 1 --settings no.yaml --set batch_size=1",
         f"{EVALUATE} --limit 1 --settings settings.yaml --set batch_size=1", echoing),
    Case(OPTIONS, "write NAME=VALUE", f"{EVALUATE} --limit 1 --set x",
         f"{EVALUATE} --limit 1 --set prompts.external_information=0", echoing),
    Case(OPTIONS, "put quotation marks around a text", f"{EVALUATE} --limit 1 --set prompts.x=[1",
         f'{EVALUATE} --limit 1 --set "prompts.x=\'[1\'"', echoing),
    Case(OPTIONS, "holds a value, not a block", f"{EVALUATE} --limit 1 --set batch_size.most=1",
         f"{EVALUATE} --limit 1 --set batch_size=1", echoing),
    Case(OPTIONS, "names no question", f"{EVALUATE} --samples ,", f"{EVALUATE} --samples 1", echoing),
    Case(OPTIONS, "write a range from low to high", f"{EVALUATE} --samples 9000", f"{EVALUATE} --samples 1-2", echoing),
    Case(OPTIONS, "there is no such task", f"{EVALUATE} --samples none", f"{EVALUATE} --samples choices", echoing),
    Case("local_evaluation.py", "check_folder(--output)", f"{EVALUATE} --limit 1 --output file",
         f"{EVALUATE} --limit 1 --output new", echoing, (FOLDER,)),
    Case("local_evaluation.py", "leave it out beside --answers", f"{SAVED} --limit 2 --model x", f"{SAVED} --limit 2"),
    Case("local_evaluation.py", "--data, --limit and --samples", SAVED, "... --limit 2"),
    Case("local_evaluation.py", "--data, --limit and --samples", SAVED, "... --samples 2-3"),
    Case("utilities/options.py", "the value is empty", f"{EVALUATE} --samples ''", f"{EVALUATE} --samples 1", echoing),
    Case("utilities/options.py", "is not a whole number from", f"{EVALUATE} --limit 0", f"{EVALUATE} --limit 1",
         echoing),
)  # fmt: skip
