"""A process and all its descendants: their memory, from Linux's /proc, and their end."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Process(NamedTuple):
    """A process; its start time distinguishes it from a later process with the same number."""

    pid: int
    start: str


class ProcessTree:
    """A process and its descendants; a descendant stays in the tree after its parent has ended."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._known = {each for each, _ in _running() if each.pid == process.pid}
        self.peak_bytes = 0

    def sample(self) -> int:
        """Return the bytes in use, shared pages counted once, and keep the peak."""
        running = dict(_running())
        members = {process for process in self._known if process in running}
        while more := {each for each in running if running[each] in {m.pid for m in members}} - members:
            members |= more
        self._known = members
        used = sum(_memory(process.pid) for process in members)
        self.peak_bytes = max(self.peak_bytes, used)
        return used

    def end(self) -> None:
        """Kill every process of the tree and wait for the first."""
        self.sample()
        for process in self._known:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()


def _running() -> Iterator[tuple[Process, int]]:
    """Yield each process with the id of its parent."""
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                # The name in parentheses may hold anything, also blanks.
                fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            yield Process(int(folder.name), fields[19]), int(fields[1])


def _memory(pid: int) -> int:
    """Return the bytes of a process; pages shared with other processes count by its share."""
    folder = PROC / str(pid)
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    except (OSError, StopIteration):
        pass
    try:
        return _PAGE * int((folder / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
