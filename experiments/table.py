"""What an experiment's table is: rows of settings, and what was published about the same question."""

import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from experiments.base import inherited
from utilities.errors import UserError
from utilities.task_type import TaskType
from utilities.typed_yaml import build, checked, read_mapping

COLUMNS = ("score", "multiple choice", "retrieval", "generation", "ranking", "entities")
"""The mean over all tasks, and over those of each task type."""
TYPE_OF = dict(
    zip(
        COLUMNS[1:],
        (
            TaskType.MULTIPLE_CHOICE,
            TaskType.RETRIEVAL,
            TaskType.GENERATION,
            TaskType.RANKING,
            TaskType.NAMED_ENTITY_RECOGNITION,
        ),
        strict=True,
    )
)
PUBLISHED = COLUMNS[:5]
ADAPTERS = "{adapters}"
_HOLE = re.compile(re.escape(ADAPTERS))


@checked
class Row:
    """One configuration.

    `settings` are laid over those of the table and these over models/settings.yaml; `{adapters}` in them is a folder
    that the command line names. `published` holds the published figures for `PUBLISHED`, null where there are none.
    A row without settings is one that was published only. `needs` says how to get weights or adapters that are not at
    hand; where it is empty, the table's does.
    """

    name: str
    settings: dict[str, Any] | None = None
    published: tuple[float | None, ...] = ()
    needs: str = ""

    def __post_init__(self) -> None:
        if self.published and len(self.published) != len(PUBLISHED):
            raise ValueError(
                f"published holds {len(self.published)} figures; it takes those of: {', '.join(PUBLISHED)}"
            )


@checked
class Table:
    """One question, answered by rows that are compared with the first.

    `task_types` are those that are asked, all where it is empty. `of` says whose the published figures are.
    """

    title: str
    question: str
    rows: tuple[Row, ...]
    of: str = ""
    task_types: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    needs: str = ""

    def __post_init__(self) -> None:
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names) or not self.run:
            raise ValueError("rows need a name each that no other has, and at least one needs settings")
        unknown = set(self.task_types) - {task_type.value for task_type in TaskType}
        if unknown:
            raise ValueError(f"task_types: there is no {', '.join(sorted(unknown))}")

    @property
    def run(self) -> tuple[Row, ...]:
        """The rows that are run; the others were published only."""
        return tuple(row for row in self.rows if row.settings is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the asked task types have; of a single type, its own is the score as well."""
        types = tuple(name for name, kind in TYPE_OF.items() if kind.value in self.task_types)
        return types if len(types) == 1 else ("score", *(types or TYPE_OF))


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        UserError: the file cannot be read, or holds an unknown key or a value that does not fit.
    """
    return build(Table, read_mapping(path, "the table", "name one of experiments/tables"), f"{path}: ", "key")


def settings_of(table: Table, row: Row, base: Mapping[str, Any], adapters: Path) -> dict[str, Any]:
    """Return the whole settings of a row: its own over the table's over those of `base`."""
    filled: dict[str, Any] = _filled(_over(table.settings, row.settings or {}), adapters)
    engine = filled.get("engine") or {}
    below = inherited(base.get("engine") or {}, engine) if isinstance(engine, dict) else {}
    return _over({**base, "engine": below}, filled)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _filled(value: Any, adapters: Path) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, adapters) for key, each in value.items()}
    return _HOLE.sub(lambda _: str(adapters), value) if isinstance(value, str) else value


def tables_of(folder: Path) -> list[Path]:
    """Return the files of a folder's tables, by name.

    Raises:
        UserError: there is none.
    """
    found = sorted(folder.glob("*.yaml"))
    if not found:
        raise UserError(f"{folder} holds no table: name a folder of YAML files")
    return found
