"""Writes the files and the record of a selection, and prints its tables."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from evaluation.run_record import versions
from tuning.selection.drawing import Selected, strata
from tuning.selection.rows import Usable
from utilities.errors import UserError
from utilities.files import replacing
from utilities.printed_tables import print_table

RECORD = "selection.json"
HELD_OUT = "held_out.jsonl"
_OWN_NAMES = ("train_*.jsonl", HELD_OUT, RECORD)
_VERSIONS = ("python", "shopalign")


class Places(NamedTuple):
    """The folder of a selection, and the file of the held-out rows, which may lie elsewhere."""

    folder: Path
    held_out: Path

    def option_of(self, path: Path) -> str:
        """Return the option that names the place of a file."""
        elsewhere = self.held_out.parent.resolve() != self.folder.resolve()
        return "--held-out-output" if elsewhere and path.resolve() == self.held_out.resolve() else "--output"

    def earlier(self) -> list[Path]:
        """Return the files of an earlier selection."""
        return [path for name in _OWN_NAMES for path in sorted(self.folder.glob(name))]


class Result:
    """The rows of a selection by set (training sets in order of size), and the dropped rows by task and reason."""

    def __init__(self, selected: Selected, sizes: Sequence[int] | None, dropped: Mapping[tuple[str, str], int]) -> None:
        near = Counter((row.question.task_name, "shares words with a held-out row") for row in selected.too_near)
        self.drops = Counter(dropped) + near
        self.held_out = selected.held_out
        self.training = {size: selected.training[:size] for size in sorted(set(sizes or [len(selected.training)]))}
        self.available = selected.training

    def record(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of selection.json: the options, and the rows of each set and drops by task."""
        sets = {**{f"train_{size}": rows for size, rows in self.training.items()}, "held_out": self.held_out}
        return {
            **options,
            "versions": {name: versions()[name] for name in _VERSIONS},
            "dropped": {reason: self._by_task(reason) for reason in self._reasons()},
            "available": len(self.available),
            "sets": {name: _counts(rows) for name, rows in sets.items()},
        }

    def print(self) -> None:
        """Print the rows of each set by task, and the dropped rows by reason and task."""
        columns = ["held out", *map(str, self.training), "available"]
        counts = [_counts(rows) for rows in (self.held_out, *self.training.values(), self.available)]
        names = sorted({name for each in counts for name in each})
        lines = [[name, *(str(each.get(name, 0)) for each in counts)] for name in names]
        total = ["all", *(str(sum(each.values())) for each in counts)]
        print_table(["task", *columns], [*lines, total])
        self.print_drops()

    def print_drops(self) -> None:
        """Print the dropped rows by reason and task."""
        drops = {reason: self._by_task(reason) for reason in self._reasons()}
        if drops:
            rows = [[reason, _listed(tasks), str(sum(tasks.values()))] for reason, tasks in drops.items()]
            print_table(["dropped because", "of tasks", "rows"], [*rows, ["all", "", str(self.drops.total())]], texts=2)

    def write(self, record: Mapping[str, object], places: Places) -> None:
        """Write all files or none, and remove those of an earlier selection in the same folder.

        Raises:
            UserError: a file cannot be written.
        """
        # The last file to be entered is the first to be renamed: the record shows that all others are there.
        texts = {places.folder / RECORD: json.dumps(record, ensure_ascii=False, indent=2) + "\n"}
        texts |= {places.folder / f"train_{size}.jsonl": _lines(rows) for size, rows in self.training.items()}
        if self.held_out:
            texts[places.held_out] = _lines(self.held_out)
        path = places.folder
        try:
            with ExitStack() as whole:
                for path, text in texts.items():
                    whole.enter_context(replacing(path)).write_text(text, encoding="utf-8")
                for path in places.earlier():
                    path.unlink()
        except OSError as error:
            option = places.option_of(path)
            raise UserError(
                f"{path} cannot be written ({error.strerror}): make room or name another {option}"
            ) from None

    def _reasons(self) -> list[str]:
        return sorted({reason for _, reason in self.drops})

    def _by_task(self, reason: str) -> dict[str, int]:
        return {task: count for (task, why), count in sorted(self.drops.items()) if why == reason}


def check_inputs_stay(inputs: Iterable[Path], places: Places) -> None:
    """Raise a `UserError` if the selection would replace one of its inputs."""
    replaced = {path.resolve() for path in (*places.earlier(), places.held_out)}
    for path in inputs:
        if path.resolve() in replaced:
            option = places.option_of(path)
            raise UserError(f"{path} is read, and would be replaced: move it, or name another {option}")


def _counts(rows: Sequence[Usable]) -> dict[str, int]:
    return {name: len(members) for name, members in sorted(strata(rows).items())}


def _listed(tasks: Mapping[str, int]) -> str:
    return ", ".join(f"{task} {count}" for task, count in tasks.items())


def _lines(rows: Sequence[Usable]) -> str:
    text = "".join(json.dumps(_fields(row), ensure_ascii=False) + "\n" for row in rows)
    return text.encode("utf-8", "replace").decode()  # lone surrogates, which JSON can write and UTF-8 cannot


def _fields(row: Usable) -> dict[str, object]:
    fields = asdict(row.question)
    del fields["track"]
    return {**fields, "source": row.source}
