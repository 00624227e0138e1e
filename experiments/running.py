"""Runs rows of tables, each as a process of local_evaluation.py, and keeps what is finished."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from tqdm import tqdm

from evaluation.questions import json_lines
from experiments.identity import code_digest
from experiments.planning import SCORES, SETTINGS, Planned
from models.settings import ADAPTER_VARIABLE, FILE_VARIABLE, MODEL_VARIABLE, WEIGHTS_VARIABLE
from utilities.files import ROOT, write_json

CODE = "code.json"
_LOG = "log.txt"
_LOCK = "lock"
_KEPT = (SCORES, "answers.jsonl", "questions.jsonl", "trace.jsonl")
_LOOK_SECONDS = 1.0
_TAIL_BYTES = 4096
_ASKED = re.compile(rb"predicting: .*?(\d+)/\d+ \[")


def run_rows(planned: Sequence[Planned], fresh: bool = False) -> dict[str, str]:
    """Run what is not finished, or all where `fresh`; return what failed and why, by the row's name.

    A finished run is replaced only by a new one that is finished as well.
    """
    waiting = [each for each in planned if not each.missing and (fresh or not each.finished)]
    sizes = {each.data: sum(1 for _ in json_lines(each.data)) for each in waiting}
    failed: dict[str, str] = {}
    done: set[Path] = set()
    with tqdm(total=sum(sizes[each.data] for each in waiting), unit="question", disable=not waiting) as bar:
        for number, each in enumerate(waiting, 1):
            bar.set_description(f"row {number} of {len(waiting)}, {each.row.name}")
            before = bar.n
            # Rows of equal settings share a folder, and the first of them has filled it.
            reason = "" if each.folder in done else _run(each, bar)
            bar.update(before + sizes[each.data] - bar.n)
            if reason:
                failed[each.row.name] = reason
            else:
                done.add(each.folder)
    return failed


def _run(planned: Planned, bar: tqdm) -> str:
    """Run one row; return why it failed, empty where it is finished."""
    if code_digest() != planned.code:
        return "the code was changed after the command began: give the command again"
    with (planned.folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return "another command is running it: give this one again when that has ended"
        return _run_alone(planned, bar, lock.fileno())


def _run_alone(planned: Planned, bar: tqdm, lock: int) -> str:
    work = planned.folder / "partial"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    code = _evaluate(planned, work, bar, lock)
    if code:
        return _last_line(planned.folder / _LOG) or f"exit code {code}"
    # The scores go first and come last: where they are, the row is finished.
    (planned.folder / SCORES).unlink(missing_ok=True)
    write_json(planned.folder / CODE, {"code": planned.code, "date": date.today().isoformat()})
    for name in (*_KEPT[1:], _KEPT[0]):
        if (work / name).is_file():
            (work / name).replace(planned.folder / name)
    shutil.rmtree(work)
    return ""


def _evaluate(planned: Planned, work: Path, bar: tqdm, lock: int) -> int:
    """Run the process of one row, moving the bar with its questions; return its exit code.

    The process holds the row's lock as well: where it outlives this one, no other begins beside it.
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
                    return process.wait(_LOOK_SECONDS)
                except subprocess.TimeoutExpired:
                    bar.update(before + asked(planned.folder / _LOG) - bar.n)
        finally:
            # Ctrl-C or an error here: no evaluation goes on that nobody waits for.
            if process.poll() is None:
                process.terminate()
                process.wait()


def asked(log: Path) -> int:
    """Return how many questions the progress bar in a log says were asked, 0 where there is none yet."""
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - _TAIL_BYTES, 0))
        found = _ASKED.findall(file.read())
    return int(found[-1]) if found else 0


def _environment(settings: Path) -> Mapping[str, str]:
    """Return this process's environment with the row's settings and nothing that would replace a part of them."""
    replacing = (MODEL_VARIABLE, WEIGHTS_VARIABLE, ADAPTER_VARIABLE)
    kept = {name: value for name, value in os.environ.items() if name not in replacing}
    return {**kept, FILE_VARIABLE: str(settings.absolute())}


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
