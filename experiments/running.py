"""Runs rows of tables, each as a process of local_evaluation.py, and keeps the finished runs."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tqdm import tqdm

from evaluation.run_record import code_digest
from evaluation.score_table import NOT_THE_MODELS
from experiments.row_plan import SCORES, SETTINGS, Planned
from models.settings import ADAPTER_VARIABLE, FILE_VARIABLE, MODEL_VARIABLE, WEIGHTS_VARIABLE
from utilities.files import ROOT, write_json
from utilities.tables import read_rows

CODE = "code.json"
POLL_SECONDS = 1.0
_LOG = "log.txt"
_KEPT = ("answers.jsonl", "questions.jsonl", "trace.jsonl", SCORES)
_TAIL_BYTES = 4096
_ASKED = re.compile(rb"predicting: .*?(\d+)/\d+ \[")


def run_rows(planned: Sequence[Planned], fresh: bool = False) -> dict[str, str]:
    """Run all unfinished rows, or all rows if `fresh`; return why rows failed, by name.

    A finished run is replaced only by another finished run.
    """
    waiting = [each for each in planned if not each.missing and (fresh or not each.finished)]
    sizes = {each.data: sum(1 for _ in read_rows(each.data, is_object=False)) for each in waiting}
    failed: dict[str, str] = {}
    done: set[Path] = set()
    with tqdm(total=sum(sizes[each.data] for each in waiting), unit="question", disable=not waiting) as bar:
        for number, each in enumerate(waiting, 1):
            bar.set_description(f"row {number} of {len(waiting)}, {each.row.name}")
            before = bar.n
            # Rows with equal settings share a folder: the first of them fills it.
            reason = "" if each.folder in done else _run(each, bar)
            bar.update(before + sizes[each.data] - bar.n)
            if reason:
                failed[each.row.name] = reason
            else:
                done.add(each.folder)
    return failed


def _run(planned: Planned, bar: tqdm) -> str:
    """Run one row; return why it failed, or an empty text."""
    if code_digest() != planned.code:
        return "the code changed after the command started: run the command again"
    with (planned.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return "another command is running it: run this command again when the other has ended"
        return _run_locked(planned, bar, lock.fileno())


def _run_locked(planned: Planned, bar: tqdm, lock: int) -> str:
    work = planned.folder / "partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    code = _evaluate(planned, work, bar, lock)
    if code:
        lines = (planned.folder / _LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        warned = [line for line in lines if line.startswith(NOT_THE_MODELS)]
        return [f"exit code {code}", *lines, *warned][-1]
    # A run with scores counts as finished: the old scores go first, the new ones come last.
    (planned.folder / SCORES).unlink(missing_ok=True)
    write_json(planned.folder / CODE, {"code": planned.code, "date": date.today().isoformat()})
    for name in _KEPT:
        if (work / name).is_file():
            (work / name).replace(planned.folder / name)
    shutil.rmtree(work)
    return ""


def _evaluate(planned: Planned, work: Path, bar: tqdm, lock: int) -> int:
    """Run the process of one row, move the bar with its questions, and return its exit code.

    The process inherits the row's lock: if it outlives this one, no other command starts the row.
    """
    command = [sys.executable, "local_evaluation.py", "--no-report", "--data", str(planned.data.absolute())]
    before = bar.n
    with (planned.folder / _LOG).open("wb") as log:
        process = subprocess.Popen(
            [*command, "--output", str(work.absolute())],
            cwd=ROOT,
            env=_environment(planned.folder / SETTINGS),
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
        )
        try:
            while True:
                try:
                    return process.wait(POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    bar.update(before + asked(planned.folder / _LOG) - bar.n)
        finally:
            # After Ctrl-C or an error no one waits for the evaluation.
            if process.poll() is None:
                process.terminate()
                process.wait()


def asked(log: Path) -> int:
    """Return the number of questions asked so far, read from the progress bar in a log; 0 without a bar."""
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - _TAIL_BYTES, 0))
        found = _ASKED.findall(file.read())
    return int(found[-1]) if found else 0


def _environment(settings: Path) -> dict[str, str]:
    """Return this process's environment with the row's settings, without variables that would override them."""
    overriding = (MODEL_VARIABLE, WEIGHTS_VARIABLE, ADAPTER_VARIABLE)
    kept = {name: value for name, value in os.environ.items() if name not in overriding}
    return {**kept, FILE_VARIABLE: str(settings.absolute())}
