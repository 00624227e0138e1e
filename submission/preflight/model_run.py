"""A short run of the model like the evaluator's, without network and home, and the checks of its results."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from evaluation.loop import SECONDS_PER_SAMPLE
from evaluation.questions import read_questions
from submission.preflight.image import image_environment
from submission.preflight.machine_fit import GB, MEMORY
from submission.preflight.repository import FailedError, NotCheckedError, Repository, evaluators_environment, listed
from submission.preflight.weight_files import tensors_of
from utilities.errors import UserError
from utilities.processes import ProcessTree
from utilities.tracks import SECONDS_A_QUESTION, TRACKS

QUESTIONS = "data/development.json"
CORES = {False: 4, True: 40}
# The evaluator's limits do not count loading; a load that takes longer than this counts as hung.
LOAD_SECONDS = 900.0
_POLL_SECONDS = 0.1
_TAIL = 400
_LOG = "`python local_evaluation.py` shows the whole log"

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """The results of a run.

    `stopped` names the limit that ended the run, "time" or "memory". `peak_bytes` counts all processes. `said` is the
    last line of output.
    """

    events: Sequence[Event]
    peak_bytes: int
    stopped: str | None
    code: int
    said: str
    connections: tuple[str, ...]
    opened: tuple[str, ...]

    @property
    def batches(self) -> list[tuple[int, float]]:
        """Return the number of questions and the seconds of each answered batch."""
        return [(event["questions"], event["seconds"]) for event in self.events if event["event"] == "answered"]

    @property
    def questions(self) -> int:
        """Return the number of answered questions."""
        return sum(questions for questions, _ in self.batches)

    def event(self, name: str) -> Event | None:
        """Return the last event of this name."""
        return next((event for event in reversed(self.events) if event["event"] == name), None)


def run_trial(root: Path, questions: Sequence[Event], memory_limit: int, variables: Mapping[str, str]) -> Trial:
    """Run the `UserModel` of `root` on `questions` with the image's `variables`.

    A run that exceeds `memory_limit` bytes or its time is ended.
    """
    with tempfile.TemporaryDirectory(prefix="preflight-") as folder:
        work = Path(folder)
        process = _start(root, work, json.dumps(list(questions)), variables)
        tree = ProcessTree(process)
        try:
            stopped = _watch(process, tree, work / "report", memory_limit)
        finally:
            tree.end()
        with (work / "output").open(encoding="utf-8", errors="replace") as output:
            said = " ".join(deque(filter(str.strip, output), maxlen=1))
        seen = {(line["what"], line["name"]) for line in _json_lines(work / "record")}
        return Trial(
            events=_json_lines(work / "report"),
            peak_bytes=tree.peak_bytes,
            stopped=stopped,
            code=process.returncode,
            said=said.strip()[:_TAIL] or "nothing",
            connections=tuple(sorted(name for what, name in seen if what == "connect")),
            opened=tuple(sorted(name for what, name in seen if what == "open")),
        )


def _start(root: Path, work: Path, questions: str, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the evaluator's loop; every cache that a library keeps in the home folder points into `work`."""
    home, here = work / "home", Path(__file__).parent
    home.mkdir()
    (work / "questions.json").write_text(questions, encoding="utf-8")
    private = {"HOME": str(home), "TMPDIR": str(work), "XDG_CACHE_HOME": str(home / ".cache")}
    guard = {"PYTHONPATH": str(here / "closed_network"), "PREFLIGHT_RECORD": str(work / "record")}
    inside = {"PREFLIGHT_NAMESPACE": "1"} if namespace_command() else {}
    with (work / "questions.json").open("rb") as stdin, (work / "output").open("wb") as output:
        return subprocess.Popen(
            [*namespace_command(), sys.executable, str(here / "trial_child.py"), str(work / "report")],
            cwd=root,
            env={**evaluators_environment(), **variables, **private, **guard, **inside},
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@cache
def namespace_command() -> tuple[str, ...]:
    """Return the command that starts a program without any network, empty if the system does not permit it."""
    for command in (("unshare", "--net"), ("unshare", "--map-root-user", "--net")):
        try:
            subprocess.run([*command, "true"], capture_output=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        return command
    return ()


def _watch(process: subprocess.Popen[bytes], tree: ProcessTree, report: Path, memory_limit: int) -> str | None:
    """Wait for the end; return the limit that the processes exceed before it."""
    changed, known = time.monotonic(), 0
    while process.poll() is None:
        if tree.sample() > memory_limit:
            return "memory"
        events = _json_lines(report)
        if len(events) != known:
            changed, known = time.monotonic(), len(events)
        if time.monotonic() - changed > _step(events)[1]:
            return "time"
        time.sleep(_POLL_SECONDS)
    return None


def _step(events: Sequence[Event]) -> tuple[str, float]:
    """Return the step after the last event, and the seconds that it may take."""
    if events and events[-1]["event"] == "asked":
        return f"a batch of {events[-1]['questions']}", events[-1]["questions"] * SECONDS_PER_SAMPLE
    return "the model", LOAD_SECONDS


def _json_lines(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a file that may not exist yet; a line without its end is still being written."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


class Run:
    """The trial of one repository, made at the first check."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    @cached_property
    def trial(self) -> Trial:
        """Run the model, or raise a `FailedError` whose owner is the check that reports the reason."""
        repository, count = self._repository, self._repository.request.questions
        if count is None:
            raise NotCheckedError("skipped by --skip-run")
        limit = MEMORY[repository.aicrowd.gpu]
        if repository.needs_weights:
            tensors_of(repository)
        return run_trial(repository.root, self.questions(count), limit, image_environment(repository))

    def questions(self, count: int) -> list[Event]:
        """Return up to `count` questions of the track, spread evenly over the file's order."""
        track = self._repository.track
        try:
            every = read_questions(self._repository.root / QUESTIONS)
        except UserError as error:
            raise FailedError(str(error), f"restore {QUESTIONS}, or use --skip-run", "model run") from None
        of_track = [each for each in every if track == TRACKS[-1] or each.track == track.challenge_id] or every
        step = max(1, len(of_track) // count)
        return [
            {"input_field": each.input_field, "is_multiple_choice": each.is_multiple_choice}
            for each in of_track[::step][:count]
        ]

    def check_answers(self) -> str:
        """Require that the model loads and returns one string per prompt, none of them by a fallback."""
        found = self.trial
        if raised := found.event("raised"):
            raise FailedError(f"the UserModel fails: {raised['error']}", f"correct it: {_LOG}")
        if found.stopped:
            raise NotCheckedError(f"the run was ended: see {found.stopped!r}")
        done = found.event("done")
        if done is None:
            raise FailedError(f"the process ended with code {found.code}: {found.said}", f"correct it: {_LOG}")
        fallbacks = [f"{reason}: {number}" for reason, number in done["fallbacks"].items() if number]
        if fallbacks:
            raise FailedError(
                f"questions answered by a fallback: {listed(fallbacks)}; the log ends: {found.said}",
                f"correct the cause: {_LOG}",
            )
        loaded = found.event("loaded") or {"seconds": 0.0}
        return f"{found.questions} questions answered, loaded in {loaded['seconds']:.1f} s"

    def check_network(self) -> str:
        """Require that nothing connects to another machine."""
        found = self.trial
        if found.connections:
            raise FailedError(
                f"the run tried to connect to {listed(found.connections)}",
                "load everything from the repository; switch off a library's own reports by an ENV in Dockerfile",
            )
        how = "no network at all" if namespace_command() else "Python's sockets closed; other code was not restricted"
        return f"no connection ({how})"

    def check_files(self) -> str:
        """Require that every file that Python reads belongs to the machine or to the submission."""
        root, known = self._repository.root, set(self._repository.files)
        files = [path for path in map(Path, self.trial.opened) if path.is_file() and "__pycache__" not in path.parts]
        outside = [str(path) for path in files if not path.is_relative_to(root)]
        if outside:
            raise FailedError(f"the run opened {listed(outside)}", "put the file into the repository")
        names = map(self._repository.name_of, files)
        unknown = [name for name in names if name not in known and not name.startswith(".git/")]
        if unknown:
            raise FailedError(f"the run opened {listed(unknown)}, not in git", "commit the file")
        return "nothing outside of the repository"

    def check_time(self) -> str:
        """Require at most 10 s per question in every batch, and a pace that the track's limit allows."""
        found = self.trial
        if found.stopped == "time":
            step, limit = _step(found.events)
            remedy = "a smaller model or batch, or see `python -m submission.time_budget`"
            raise FailedError(f"{step} was not ready after {limit:.0f} s", remedy)
        if not found.batches:
            raise NotCheckedError("the run gave no answers")
        share, size, seconds = max((s / (n * SECONDS_PER_SAMPLE), n, s) for n, s in found.batches)
        slowest = f"slowest batch {seconds:.1f} s for {size} questions"
        if share > 1:
            raise FailedError(f"{slowest}, over 10 s per question", "a smaller model or batch")
        return f"{slowest}; {self._pace(found)}"

    def _pace(self, found: Trial) -> str:
        pace = sum(seconds for _, seconds in found.batches) / found.questions
        gpu, track = self._repository.aicrowd.gpu, self._repository.track
        shown = f"{pace:.2f} s per question, the limit is {SECONDS_A_QUESTION:.2f} s"
        if gpu and not Path("/dev/nvidia0").exists():
            return f"{shown}, on this machine without a GPU"
        cores = os.cpu_count() or 1
        if pace > SECONDS_A_QUESTION * max(1.0, CORES[gpu] / cores if not gpu else 1.0):
            raise FailedError(
                f"{shown} for track {track.number} ({track.minutes} minutes), on {cores} cores",
                "a smaller model, or the gpu flag; `python -m submission.time_budget` predicts other machines",
            )
        return shown

    def check_memory(self) -> str:
        """Require that all processes together fit the machine's memory."""
        found, limit = self.trial, MEMORY[self._repository.aicrowd.gpu]
        if found.stopped == "memory":
            raise FailedError(
                f"ended at {found.peak_bytes / GB:.1f} GB; the machine has {limit / GB:.0f} GB",
                'a smaller model or engine.dtype, or "gpu": true in aicrowd.json',
            )
        return f"{found.peak_bytes / GB:.2f} GB at most, of {limit / GB:.0f} GB"
