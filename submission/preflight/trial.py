"""A short run of the model as the evaluator runs it: no network, no home, the clock and the memory watched."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from submission.preflight.repository import evaluators_environment
from utilities.processes import ProcessTree

SECONDS_PER_SAMPLE = 10.0
# Loading is not counted by the evaluator's limits; a load that takes longer than this is taken for a hang.
LOAD_SECONDS = 900.0
_POLL_SECONDS = 0.1
_CHILD = Path(__file__).with_name("trial_child.py")
_GUARD = Path(__file__).with_name("closed_network")
_TAIL = 400

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Trial:
    """What a run showed. `stopped` says why it was ended from outside; peak memory is of all its processes."""

    events: Sequence[Event]
    peak_bytes: int
    stopped: str | None
    code: int
    said: str
    connections: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    namespace: bool = False

    @property
    def batches(self) -> list[tuple[int, float]]:
        """Return the number of questions and the seconds of each batch that was answered."""
        return [(event["questions"], event["seconds"]) for event in self.events if event["event"] == "answered"]

    def event(self, name: str) -> Event | None:
        """Return the last event of this name."""
        return next((event for event in reversed(self.events) if event["event"] == name), None)


def run_trial(
    root: Path, questions: Sequence[Mapping[str, Any]], memory_limit: int, variables: Mapping[str, str]
) -> Trial:
    """Run the `UserModel` of `root` on `questions` with the image's `variables`.

    A run over `memory_limit` bytes or its time is ended.
    """
    with tempfile.TemporaryDirectory(prefix="preflight-") as folder:
        work = Path(folder)
        (work / "questions.json").write_text(json.dumps(list(questions)), encoding="utf-8")
        process = _start(root, work, variables)
        tree = ProcessTree(process)
        try:
            stopped = _watch(process, tree, work / "report", memory_limit)
        finally:
            tree.end()
        return _trial(work, tree.peak_bytes, stopped, process.returncode)


def _start(root: Path, work: Path, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (work / "questions.json").open("rb") as questions, (work / "output").open("wb") as output:
        return subprocess.Popen(
            [*namespace_command(), sys.executable, str(_CHILD), str(work / "report")],
            cwd=root,
            env={**evaluators_environment(), **variables, **_environment(work)},
            stdin=questions,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _trial(work: Path, peak_bytes: int, stopped: str | None, code: int) -> Trial:
    seen = {(line["what"], line["name"]) for line in _json_lines(work / "record")}
    return Trial(
        events=_json_lines(work / "report"),
        peak_bytes=peak_bytes,
        stopped=stopped,
        code=code,
        said=_last_line(work / "output"),
        connections=tuple(sorted(name for what, name in seen if what == "connect")),
        opened=tuple(sorted(name for what, name in seen if what == "open")),
        namespace=bool(namespace_command()),
    )


@cache
def namespace_command() -> tuple[str, ...]:
    """Return the command that starts a program without any network, empty where that is not permitted."""
    for command in (("unshare", "--net"), ("unshare", "--map-root-user", "--net")):
        try:
            ended = subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if ended.returncode == 0:
            return command
    return ()


def _environment(work: Path) -> dict[str, str]:
    """Point every cache that a library keeps for a person into `work`, where nothing is."""
    home = work / "home"
    home.mkdir()
    temporary = {"HOME": str(home), "TMPDIR": str(work), "XDG_CACHE_HOME": str(home / ".cache")}
    guard = {"PYTHONPATH": str(_GUARD), "PREFLIGHT_RECORD": str(work / "record")}
    inside = {"PREFLIGHT_NAMESPACE": "1"} if namespace_command() else {}
    return {**temporary, **guard, **inside}


def _watch(process: subprocess.Popen[bytes], tree: ProcessTree, report: Path, memory_limit: int) -> str | None:
    """Wait for the end; return why the process has to be ended before it."""
    changed, size = time.monotonic(), -1
    while process.poll() is None:
        if tree.sample() > memory_limit:
            return "memory"
        now = report.stat().st_size if report.exists() else 0
        if now != size:
            changed, size = time.monotonic(), now
        if time.monotonic() - changed > _allowance(_json_lines(report)):
            return "time"
        time.sleep(_POLL_SECONDS)
    return None


def _allowance(events: Sequence[Event]) -> float:
    """Return the seconds that the step has which the last event began."""
    last = events[-1] if events else None
    return last["questions"] * SECONDS_PER_SAMPLE if last and last["event"] == "asked" else LOAD_SECONDS


def _json_lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    values = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values.append(json.loads(line))
        except ValueError:
            # The last line may be half written.
            continue
    return values


def _last_line(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - 8 * _TAIL))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:_TAIL] if lines else "nothing"
