"""What the steps of a chain were made of: their commands, and the contents of the files that they read."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.questions import json_lines
from utilities.errors import UserError
from utilities.files import ROOT, write_text
from utilities.fingerprint import fingerprint, fingerprint_of_adapter
from utilities.typed_yaml import build, checked, read_mapping
from utilities.wheels import sha256

_FINISHED, _BEGUN = "finished.jsonl", "begun.jsonl"


@checked
class Made:
    """All that the result of a step depends on.

    Attributes:
        step: its name.
        command: what is run, without the interpreter.
        environment: names to values, as set for it.
        inputs: the files and folders that the command names, to what identifies their contents.
        seconds: how long it took; 0 where that is not known.
    """

    step: str
    command: tuple[str, ...]
    environment: dict[str, Any]
    inputs: dict[str, Any]
    seconds: float = 0.0

    def difference(self, other: "Made") -> str:
        """Say in a few words what another one was made of instead; nothing for the same."""
        if (self.command, self.environment) != (other.command, other.environment):
            return "other options"
        changed = sorted(path for path in self.inputs if self.inputs[path] != other.inputs.get(path))
        return f"another content of {changed[0]}" if changed else ""


class ChainRecord:
    """The record in a chain's output folder: the steps that were begun, and the finished ones."""

    def __init__(self, output: Path) -> None:
        """Read what there is.

        Raises:
            UserError: a line is damaged.
        """
        self._output = output
        self._finished = dict(_read(output / _FINISHED))
        self._begun = dict(_read(output / _BEGUN))

    def is_finished(self, made: Made, place: Path | None, *, whole: bool) -> bool:
        """Tell whether a step need not be run: it was finished, and what it made is there.

        `place` is where that is, None for a step that makes nothing. `whole` says that it is there only when it is
        finished, so that a step that was killed before it was recorded counts as finished.

        Raises:
            UserError: what is there was made of something else.
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
        """Record what a step is made of before it is run."""
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
    """Return the files and folders that the words of a command name, and what identifies the contents of each.

    A word may be a path or NAME=PATH, from the package's folder on; `output` is none of them. With a recipe comes the
    one that it is based on.

    Raises:
        UserError: one cannot be read.
    """
    named = (path for word in words for path in (word, word.partition("=")[2]) if path)
    paths = [ROOT / path for path in named if (ROOT / path).exists() and ROOT / path != output]
    try:
        return {str(path): _content(path) for path in (*paths, *filter(Path.is_file, map(_basis, paths)))}
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}): name a readable file") from None


def _basis(path: Path) -> Path:
    """Return the recipe that a recipe is based on, as `tuning.finetune` finds it; the path itself without one."""
    if path.suffix != ".yaml" or not path.is_file():
        return path
    named = read_mapping(path, "the recipe", "name a file of tuning/recipes").get("based_on")
    return path.parent / Path(str(named)).name if named else path


def _content(path: Path) -> str:
    """Return what identifies a file, a model, an adapter, or all files of a folder."""
    if path.is_file():
        return sha256(path)
    if (path / "config.json").is_file():
        return fingerprint(path)
    if all((path / name).is_file() for name in ("adapter_config.json", "adapter_model.safetensors")):
        return fingerprint_of_adapter(path)
    files = sorted(each for each in path.rglob("*") if each.is_file())
    return hashlib.sha256("".join(f"{each.relative_to(path)} {sha256(each)}\n" for each in files).encode()).hexdigest()


def _read(path: Path) -> Iterator[tuple[str, Made]]:
    """Yield the records of a file by their steps.

    Raises:
        UserError: a line is none.
    """
    if not path.is_file():
        return
    for number, value in json_lines(path):
        try:
            made = build(Made, value if isinstance(value, dict) else {}, "")
        except UserError:
            remedy = "remove the line and what its step made, to have the step done again"
            raise UserError(f"{path}, line {number}: no record of a step: {remedy}") from None
        yield made.step, made
