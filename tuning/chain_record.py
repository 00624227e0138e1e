"""The record of a chain: the command of each step, and the contents of the files that it reads."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.engines.adapter_config import holds_adapter
from utilities.errors import UserError
from utilities.files import ROOT, write_text
from utilities.fingerprint import fingerprint, fingerprint_of_adapter, sha256
from utilities.tables import read_rows
from utilities.typed_yaml import build, checked

_FINISHED, _BEGUN = "finished.jsonl", "begun.jsonl"


@checked
class Made:
    """The cache key of a step: everything that its result depends on.

    Attributes:
        step: the name of the step.
        command: the command without the interpreter.
        environment: the variables that are set for the command.
        inputs: the hash or fingerprint of each file and folder that the command names.
        seconds: the duration; 0 if it is unknown.
    """

    step: str
    command: tuple[str, ...]
    environment: dict[str, Any]
    inputs: dict[str, Any]
    seconds: float = 0.0

    def difference(self, other: "Made") -> str:
        """Return the first difference in words; empty if there is none."""
        if (self.command, self.environment) != (other.command, other.environment):
            return "other options"
        changed = sorted(path for path in self.inputs if self.inputs[path] != other.inputs.get(path))
        return f"another content of {changed[0]}" if changed else ""


class ChainRecord:
    """The begun and the finished steps of a chain, in its output folder."""

    def __init__(self, output: Path) -> None:
        """Read an existing record, or raise a `UserError` if a line of it is damaged."""
        self._output = output
        self._finished = dict(_read(output / _FINISHED))
        self._begun = dict(_read(output / _BEGUN))

    def is_finished(self, made: Made, place: Path | None, *, whole: bool) -> bool:
        """Return whether a step is finished and its output exists.

        `place` is the output, None for a step without one. `whole` says that an output exists only when it is finished,
        so that a step that was killed before it was recorded counts as finished.

        Raises:
            UserError: the output was made from something else.
        """
        earlier = self._finished.get(made.step) or (self._begun.get(made.step) if place and whole else None)
        if earlier is None or (place and not place.exists()):
            return False
        if difference := made.difference(earlier):
            again = f"remove {place} to have it done again, or " if place else ""
            raise UserError(
                f"{self._output}: step {made.step} was done with {difference}: {again}name another --output"
            )
        return True

    def begin(self, made: Made) -> None:
        """Record a step before it is run."""
        if self._finished.pop(made.step, None):
            self._write(_FINISHED, self._finished.values())
        self._begun[made.step] = made
        self._write(_BEGUN, self._begun.values())

    def finish(self, made: Made) -> None:
        """Record that a step is finished."""
        self._finished[made.step] = made
        self._write(_FINISHED, self._finished.values())

    def _write(self, name: str, lines: Iterable[Made]) -> None:
        write_text(self._output / name, "".join(json.dumps(asdict(made)) + "\n" for made in lines))


def contents(words: Iterable[str], output: Path | None) -> dict[str, str]:
    """Return the hash or fingerprint of each file and folder that the words of a command name, except `output`.

    A word is a path, relative to the repository, or NAME=PATH.

    Raises:
        UserError: a file cannot be read.
    """
    named = (path for word in words for path in (word, word.partition("=")[2]) if path)
    try:
        return {
            str(ROOT / path): _content(ROOT / path)
            for path in named
            if (ROOT / path).exists() and ROOT / path != output
        }
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}): name a readable file") from None


def _content(path: Path) -> str:
    """Return the hash or fingerprint of a file, a model, an adapter, or all files of a folder."""
    if path.is_file():
        return sha256(path)
    if (path / "config.json").is_file():
        return fingerprint(path)
    if holds_adapter(path):
        return fingerprint_of_adapter(path)
    files = sorted(each for each in path.rglob("*") if each.is_file())
    return hashlib.sha256("".join(f"{each.relative_to(path)} {sha256(each)}\n" for each in files).encode()).hexdigest()


def _read(path: Path) -> Iterator[tuple[str, Made]]:
    """Yield the records of a file by their steps."""
    for place, value, *_ in read_rows(path, is_object=False) if path.is_file() and path.stat().st_size else ():
        try:
            made = build(Made, value if isinstance(value, dict) else {}, "")
        except UserError:
            remedy = "remove the line and the output of its step, to have the step done again"
            raise UserError(f"{place}: not the record of a step: {remedy}") from None
        yield made.step, made
