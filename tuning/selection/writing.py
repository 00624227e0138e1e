"""The files of a selection: whole, and without any of an earlier one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tuning.selection.rows import Usable
from tuning.selection.sampling import Selected
from utilities.errors import UserError
from utilities.files import replacing

RECORD = "selection.json"
HELD_OUT = "held_out.jsonl"
_OWN_NAMES = ("train_*.jsonl", HELD_OUT, RECORD)


class Places(NamedTuple):
    """Where a selection goes: its folder, and the file of the held-out rows, in that folder or elsewhere."""

    folder: Path
    held_out: Path

    def earlier(self) -> list[Path]:
        """Return the files of an earlier selection."""
        return [path for name in _OWN_NAMES for path in sorted(self.folder.glob(name))]


def check_inputs_stay(inputs: Iterable[Path], places: Places) -> None:
    """Refuse to read from the files that the selection takes the place of.

    Raises:
        UserError: an input is one of them.
    """
    replaced = {path.resolve() for path in (*places.earlier(), places.held_out)}
    for path in inputs:
        if path.resolve() in replaced:
            raise UserError(f"{path} is read, and would be replaced: move it, or name another --output")


def write_selection(selected: Selected, sizes: Sequence[int], record: Mapping[str, object], places: Places) -> None:
    """Write all files or none; those of an earlier selection in the same folder go.

    Raises:
        UserError: a file cannot be written.
    """
    # The last file to be entered is the first to be put in place: the record tells that all others are there.
    texts = {places.folder / RECORD: json.dumps(record, ensure_ascii=False, indent=2) + "\n"}
    texts |= {places.folder / f"train_{size}.jsonl": _lines(selected.training[:size]) for size in sizes}
    if selected.held_out:
        texts[places.held_out] = _lines(selected.held_out)
    path = places.folder
    try:
        with ExitStack() as whole:
            for path, text in texts.items():
                whole.enter_context(replacing(path)).write_text(text, encoding="utf-8")
            for path in places.earlier():
                path.unlink()
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): make room or name another --output") from None


def _lines(rows: Sequence[Usable]) -> str:
    text = "".join(json.dumps(_fields(row), ensure_ascii=False) + "\n" for row in rows)
    return text.encode("utf-8", "replace").decode()  # lone surrogates, which JSON can write and UTF-8 cannot


def _fields(row: Usable) -> dict[str, object]:
    question = row.question
    return {
        "input_field": question.input_field,
        "output_field": question.output_field,
        "task_name": question.task_name,
        "task_type": question.task_type,
        "metric": question.metric,
        "is_multiple_choice": question.is_multiple_choice,
        "source": row.source,
    }
