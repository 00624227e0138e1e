"""Runs rows of tables, each as a process of local_evaluation.py, and keeps what is finished."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from experiments.planning import SETTINGS, Planned, code_digest
from models.settings import ADAPTER_VARIABLE, FILE_VARIABLE, MODEL_VARIABLE, ROOT, WEIGHTS_VARIABLE
from utilities.files import write_json

CODE = "code.json"
_LOG = "log.txt"
_KEPT = ("scores.json", "answers.jsonl", "questions.jsonl", "trace.jsonl")


def run_rows(planned: Sequence[Planned]) -> dict[str, str]:
    """Run what is not finished; return what failed and why, by the row's name."""
    waiting = [each for each in planned if not each.missing and not each.finished]
    failed: dict[str, str] = {}
    for each in _shown(waiting):
        reason = _run(each)
        if reason:
            failed[each.row.name] = reason
    return failed


def _shown(waiting: Sequence[Planned]) -> Iterator[Planned]:
    """Yield rows under a bar with the time that is left."""
    with tqdm(waiting, desc="rows", unit="row", position=0, disable=not waiting) as bar:
        for each in bar:
            bar.set_postfix_str(each.row.name)
            bar.refresh()
            yield each


def _run(planned: Planned) -> str:
    """Run one row; return why it failed, empty where it is finished."""
    work = planned.folder / "partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    command = [sys.executable, "local_evaluation.py", "--no-report", "--data", str(planned.data.absolute())]
    with (planned.folder / _LOG).open("wb") as log:
        done = subprocess.run(
            [*command, "--output", str(work.absolute())],
            cwd=ROOT,
            env=_environment(planned.folder / SETTINGS),
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        return _last_line(planned.folder / _LOG) or f"exit code {done.returncode}"
    write_json(planned.folder / CODE, {"code": code_digest()})
    # The scores come last: where they are, the row is finished.
    for name in (*_KEPT[1:], _KEPT[0]):
        if (work / name).is_file():
            (work / name).replace(planned.folder / name)
    shutil.rmtree(work)
    return ""


def _environment(settings: Path) -> Mapping[str, str]:
    """Return this process's environment with the row's settings and nothing that would replace a part of them."""
    replacing = (MODEL_VARIABLE, WEIGHTS_VARIABLE, ADAPTER_VARIABLE)
    kept = {name: value for name, value in os.environ.items() if name not in replacing}
    return {**kept, FILE_VARIABLE: str(settings.absolute())}


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
