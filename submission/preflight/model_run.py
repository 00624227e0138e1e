"""What the short run showed, a line each: answers, network, files, time, memory."""

import json
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from submission.preflight import trial
from submission.preflight.image import image_environment
from submission.preflight.repository import Repository
from submission.preflight.trial import Event, Trial, run_trial
from submission.preflight.verdict import FailedError, NotCheckedError, listed
from submission.preflight.weight_files import GB, tensors_of
from utilities.tracks import SECONDS_A_QUESTION, TRACKS

QUESTIONS = "data/development.json"
MEMORY = {False: 8 * GB, True: 180 * GB}
CORES = {False: 4, True: 40}


class Run:
    """The trial of one repository, made when it is first asked about."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    @cached_property
    def trial(self) -> Trial:
        """Run the model; what keeps it from being run is reported in the name of its own check."""
        repository, count = self._repository, self._repository.request.questions
        if count is None:
            raise NotCheckedError("left out by --skip-run")
        limit = MEMORY[repository.gpu]
        if repository.needs_weights:
            tensors_of(repository)
        return run_trial(repository.root, self.questions(count), limit, image_environment(repository))

    def questions(self, count: int) -> list[Mapping[str, Any]]:
        """Return up to `count` questions of the track, spread evenly over the file's order."""
        repository = self._repository
        every = _read(repository.root / QUESTIONS)
        whole = repository.track == TRACKS[-1]
        of_track = [each for each in every if whole or each.get("track") == repository.track.challenge_id] or every
        step = max(1, len(of_track) // count)
        return of_track[::step][:count]

    def check_answers(self) -> str:
        """Require that the model loads and gives one string a prompt, none of them by a fallback."""
        found = self.trial
        if raised := found.event("raised"):
            raise FailedError(
                f"the UserModel fails: {raised['error']}", "mend it: `python local_evaluation.py` shows more"
            )
        if found.stopped:
            raise NotCheckedError(f"the run was ended: see {found.stopped!r}")
        done = found.event("done")
        if done is None:
            raise FailedError(
                f"the process ended with code {found.code}: {found.said}",
                "mend it: `python local_evaluation.py` shows more",
            )
        fallbacks = {reason: number for reason, number in done["fallbacks"].items() if number}
        if fallbacks:
            counted = [f"{reason}: {number}" for reason, number in fallbacks.items()]
            raise FailedError(
                f"questions answered by a fallback: {listed(counted)}; the log ends: {found.said}",
                "mend what the log names: `python local_evaluation.py` shows all of it",
            )
        loaded = found.event("loaded") or {"seconds": 0.0}
        return f"{_questions(found)} questions answered, loaded in {loaded['seconds']:.1f} s"

    def check_network(self) -> str:
        """Require that nothing asked for another machine."""
        found = self.trial
        if found.connections:
            raise FailedError(
                f"the run asked for {listed(found.connections)}",
                "load everything from the repository; switch off a library's own reports by an ENV in Dockerfile",
            )
        how = "no network at all" if found.namespace else "Python's sockets closed; other code was not held back"
        return f"nothing asked for ({how})"

    def check_files(self) -> str:
        """Require that every file that Python read is the machine's, or a submission's own."""
        found, root = self.trial, self._repository.root
        known = set(self._repository.files)
        outside, unknown = [], []
        for name in found.opened:
            path = Path(name)
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            if not path.is_relative_to(root):
                outside.append(name)
            elif path.relative_to(root).as_posix() not in known and path.relative_to(root).parts[0] != ".git":
                unknown.append(path.relative_to(root).as_posix())
        if outside:
            raise FailedError(f"the run opened {listed(outside)}", "put the file into the repository")
        if unknown:
            raise FailedError(f"the run opened {listed(unknown)}, not in git", "commit the file")
        return "nothing outside of the repository"

    def check_time(self) -> str:
        """Require at most 10 s a question in every batch, and a pace that suffices for the track."""
        found = self.trial
        if found.stopped == "time":
            raise FailedError(_overdue(found), "a smaller model or batch, or see `python -m submission.time_budget`")
        if not found.batches:
            raise NotCheckedError("the run gave no answers")
        share, size, seconds = max((s / (n * trial.SECONDS_PER_SAMPLE), n, s) for n, s in found.batches)
        slowest = f"slowest batch {seconds:.1f} s for {size} questions"
        if share > 1:
            raise FailedError(f"{slowest}, over 10 s a question", "a smaller model or batch")
        return f"{slowest}; {self._pace(found)}"

    def _pace(self, found: Trial) -> str:
        pace = sum(seconds for _, seconds in found.batches) / _questions(found)
        gpu, track = self._repository.gpu, self._repository.track
        shown = f"{pace:.2f} s a question of {SECONDS_A_QUESTION:.2f} s"
        if gpu and not Path("/dev/nvidia0").exists():
            return f"{shown}, on this machine without a GPU"
        cores = os.cpu_count() or 1
        if pace > SECONDS_A_QUESTION * max(1.0, CORES[gpu] / cores if not gpu else 1.0):
            raise FailedError(
                f"{shown} that track {track.number} has ({track.minutes} minutes), on {cores} cores",
                "a smaller model, or the gpu flag; `python -m submission.time_budget` predicts other machines",
            )
        return shown

    def check_memory(self) -> str:
        """Require that all processes together stay within the machine's memory."""
        found, limit = self.trial, MEMORY[self._repository.gpu]
        if found.stopped == "memory":
            raise FailedError(
                f"ended at {found.peak_bytes / GB:.1f} GB; the machine has {limit / GB:.0f} GB",
                'a smaller model or engine.dtype, or "gpu": true in aicrowd.json',
            )
        return f"{found.peak_bytes / GB:.2f} GB at most, of {limit / GB:.0f} GB"


def _questions(found: Trial) -> int:
    return sum(questions for questions, _ in found.batches)


def _overdue(found: Trial) -> str:
    asked: Event | None = found.events[-1] if found.events else None
    if asked is None or asked["event"] != "asked":
        return f"the model was not ready after {trial.LOAD_SECONDS:.0f} s"
    limit = asked["questions"] * trial.SECONDS_PER_SAMPLE
    return f"a batch of {asked['questions']} was not back after {limit:.0f} s"


def _read(path: Path) -> list[Mapping[str, Any]]:
    """Read questions as far as a run needs them: text, and whether they are multiple choice."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        questions: list[Mapping[str, Any]] = [
            {**line, "is_multiple_choice": _is_choice(line), "input_field": line["input_field"]} for line in lines
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FailedError(
            f"{QUESTIONS} holds no questions ({error!r})", f"restore {QUESTIONS}, or use --skip-run", "model run"
        ) from None
    if not questions:
        raise FailedError(f"{QUESTIONS} is empty", f"restore {QUESTIONS}, or use --skip-run", "model run")
    return questions


def _is_choice(question: Mapping[str, Any]) -> bool:
    return bool(question.get("is_multiple_choice", question.get("task_type") == "multiple-choice"))
