"""Benchmarks run by name, and their results."""

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from utilities.errors import exit_code


def run(name: str, *arguments: object) -> int:
    main: Callable[[Sequence[str]], int] = importlib.import_module(f"benchmarks.{name}").main
    return exit_code(lambda: main([str(argument) for argument in arguments]))


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def seconds_of(way: str) -> dict[str, float]:
    """Return a made-up measurement; processes of a test import this small module to make it."""
    return {"seconds": {"plain": 4.0, "quick": 1.0}[way]}
