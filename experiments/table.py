"""Tables of experiments: rows of settings, with figures that were published for the same question."""

from dataclasses import field
from pathlib import Path
from typing import Any

from utilities.task_type import TaskType
from utilities.typed_yaml import build, checked, read_mapping

TYPE_OF = {
    "multiple choice": TaskType.MULTIPLE_CHOICE,
    "retrieval": TaskType.RETRIEVAL,
    "generation": TaskType.GENERATION,
    "ranking": TaskType.RANKING,
    "entities": TaskType.NAMED_ENTITY_RECOGNITION,
}
COLUMNS = ("score", *TYPE_OF)
"""The mean over all tasks, and the mean over the tasks of each type."""
PUBLISHED = COLUMNS[:5]


@checked
class Row:
    """One configuration.

    `settings` override those of the table, which override models/settings.yaml; `{adapters}` in them is replaced by a
    folder of the command line. A row without settings is never run and only shows published figures. `published` holds
    the figures for `PUBLISHED`, null where there is none. `needs` says how to get missing weights or adapters; if it is
    empty, the table's `needs` does.
    """

    name: str
    settings: dict[str, Any] | None = None
    published: tuple[float | None, ...] = ()
    needs: str = ""

    def __post_init__(self) -> None:
        if self.published and len(self.published) != len(PUBLISHED):
            raise ValueError(
                f"published holds {len(self.published)} figures; it needs {len(PUBLISHED)}: {', '.join(PUBLISHED)}"
            )

    @property
    def figures(self) -> dict[str, float | None]:
        """The published figures by column."""
        return dict(zip(PUBLISHED, self.published, strict=False))


@checked
class Table:
    """A table of experiments: a research question, and rows that are compared with the first row.

    `task_types` selects the questions that are asked; if it is empty, all are. `of` names the source of the published
    figures.
    """

    title: str
    question: str
    rows: tuple[Row, ...]
    of: str = ""
    task_types: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    needs: str = ""

    def __post_init__(self) -> None:
        if len({row.name for row in self.rows}) < len(self.rows) or not self.run:
            raise ValueError("each row needs a unique name, and at least one row needs settings")
        unknown = set(self.task_types) - set(TaskType)
        if unknown:
            raise ValueError(
                f"task_types: unknown type {', '.join(sorted(unknown))}; known ones: {', '.join(TaskType)}"
            )

    @property
    def run(self) -> tuple[Row, ...]:
        """The rows that are run; the others only show published figures."""
        return tuple(row for row in self.rows if row.settings is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the selected task types; a single type needs no column `score`, which would be the same."""
        types = tuple(name for name, kind in TYPE_OF.items() if kind in self.task_types)
        return types if len(types) == 1 else ("score", *(types or TYPE_OF))


def read_table(path: Path) -> Table:
    """Read a table, or raise a `UserError` if the file cannot be read or holds an unknown key or an invalid value."""
    return build(Table, read_mapping(path, "the table", "name one of experiments/tables"), f"{path}: ", "key")
