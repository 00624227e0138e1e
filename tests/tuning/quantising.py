"""The tiny model that is quantised, and the command line of that."""

from pathlib import Path
from typing import Any

LAYERS = 6
SHAPE: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 192, "initializer_range": 0.05}
SMALL = ("--rows", "4", "--max-tokens", "64", "--group-size", "32", "--device", "cpu")


def command(source: Path, output: Path, *others: str) -> list[str]:
    return ["--source", str(source), "--output", str(output), *SMALL, *others]
