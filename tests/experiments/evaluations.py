"""A table, and runs that tests write instead of starting local_evaluation.py."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.evaluation.report.report_runs import FIRST, SECOND, make_run

TABLE = """\
title: Ways to answer
question: Which is better?
of: a giant
settings: {engine: {name: scripted}}
rows:
  - {name: label, settings: {engine: {choice: label}}, published: [0.5, 0.7, null, null, null]}
  - {name: text, settings: {engine: {choice: text}}}
  - {name: only published, published: [0.9, null, null, null, null]}
  - {name: elsewhere, settings: {engine: {name: transformers, weights: no/such/folder}}}
"""


@dataclass(frozen=True)
class Ended:
    """A process that has already ended."""

    code: int

    def wait(self, timeout: float | None = None) -> int:
        return self.code

    def poll(self) -> int:
        return self.code


class Evaluations:
    """Replaces processes of local_evaluation.py: counts them and writes their runs."""

    def __init__(self) -> None:
        self.settings: list[dict[str, Any]] = []
        self.fails = False

    def __call__(self, command: Sequence[str], *, env: dict[str, str], stdout: Any, **_: object) -> "Ended":
        settings = yaml.safe_load(Path(env["SHOPALIGN_SETTINGS"]).read_text(encoding="utf-8"))
        self.settings.append(settings)
        if self.fails:
            stdout.write(b"warming up\nerror: the weights are damaged\n")
            return Ended(2)
        answers = FIRST if settings["engine"]["choice"] == "label" else SECOND
        folder = Path(command[command.index("--output") + 1])
        folder.rmdir()
        make_run(folder, answers)
        return Ended(0)


def filled(tmp_path: Path) -> dict[str, Any]:
    [part] = json.loads((tmp_path / "out" / "ways.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = part
    return found
