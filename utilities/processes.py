"""Measures the memory of a process and all its descendants, and kills them."""

import subprocess
from contextlib import suppress

import psutil


class ProcessTree:
    """A process and its descendants; a descendant stays in the tree after its parent has ended."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._known: set[psutil.Process] = set()
        with suppress(psutil.Error):
            self._known.add(psutil.Process(process.pid))
        self.peak_bytes = 0

    def sample(self) -> int:
        """Return the bytes in use, shared pages counted once, and keep the peak."""
        for each in list(self._known):
            with suppress(psutil.Error):
                self._known.update(each.children(recursive=True))
        # psutil compares the start time too, so that a later process with the same id does not count.
        self._known = {each for each in self._known if each.is_running()}
        used = sum(map(_memory, self._known))
        self.peak_bytes = max(self.peak_bytes, used)
        return used

    def end(self) -> None:
        """Kill every process of the tree, and wait for the first."""
        self.sample()
        for each in self._known:
            with suppress(psutil.Error):
                each.kill()
        self._process.wait()


def _memory(process: psutil.Process) -> int:
    """Return the bytes of a process; pages shared with other processes count by its share (on Linux)."""
    with suppress(psutil.Error):
        info = process.memory_full_info()
        return int(getattr(info, "pss", info.rss))
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0
