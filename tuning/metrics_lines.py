"""A training run's metrics as JSON lines."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerCallback

from utilities.files import write_text

_HELD_OUT = "eval_loss"


class CountsTokens(Protocol):
    """A trainer that counts the tokens that it was trained on."""

    tokens_seen: int


class MetricsLines(TrainerCallback):
    """Writes what the trainer logs as JSON lines, with tokens a second; a resumed run drops what it does again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._trainer: CountsTokens | None = None
        self._last = (0, time.perf_counter())

    def watch(self, trainer: CountsTokens) -> None:
        """Take the trainer whose tokens are counted."""
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop the lines of steps that are done again, and what a killed run left unfinished."""
        self._last = (0, time.perf_counter())
        if not state.is_world_process_zero:
            return
        kept = [line for line in _whole(self._path) if _stays(line, state.global_step)]
        write_text(self._path, "".join(f"{json.dumps(line)}\n" for line in kept))

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Append a line."""
        if not state.is_world_process_zero:
            return
        line: dict[str, Any] = {"step": state.global_step, **kwargs.get("logs", {})}
        if self._trainer is not None and "loss" in line:
            tokens, now = self._trainer.tokens_seen, time.perf_counter()
            line["tokens_per_second"] = round((tokens - self._last[0]) / (now - self._last[1]), 1)
            self._last = (tokens, now)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the held-out rows' time out of the tokens a second."""
        self._last = (self._trainer.tokens_seen if self._trainer else 0, time.perf_counter())


def _whole(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines that were written to their end; others are told on stderr."""
    for number, text in enumerate(_lines(path), start=1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            yield line
        else:
            print(f"{path}, line {number}: dropped, it was not written to its end", file=sys.stderr)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def _stays(line: dict[str, Any], step: int) -> bool:
    """Tell whether a line is not written again from `step` on, where the held-out rows are scored at once."""
    return int(line["step"]) < step or (int(line["step"]) == step and _HELD_OUT not in line)
