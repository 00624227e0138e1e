"""What a row of a table asks of which model: its settings, what it lacks, and the name under which it is kept."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.table import Row, Table, settings_of
from models.cooperation import engine_settings, identities
from models.engines.registry import check_engine
from models.settings import DEFAULT_FILE, ROOT, Settings, load_settings
from utilities.errors import UserError
from utilities.files import write_text
from utilities.questions import json_lines, read_questions
from utilities.typed_yaml import read_mapping

SETTINGS = "settings.yaml"
_CODE = ("models", "prompts", "utilities")


@dataclass(frozen=True)
class Planned:
    """A row of a table, to be run on one file of questions.

    `folder` is where its run is kept, told by what decides its answers; `missing` says what it lacks to be run, empty
    for nothing.
    """

    row: Row
    data: Path
    folder: Path
    missing: str = ""

    @property
    def finished(self) -> bool:
        """Whether the run is there."""
        return (self.folder / "scores.json").is_file()


def plan(table: Table, data: Path, limit: int, output: Path, adapters: Path) -> list[Planned]:
    """Return what there is to run, with its settings written beside where its run will be.

    Raises:
        UserError: the questions or a row's settings cannot be read.
    """
    asked = selected(data, table.task_types, limit, output)
    defaults = read_mapping(DEFAULT_FILE, "the settings", "restore the file")
    return [_planned(row, settings_of(table, row, defaults, adapters), asked, output) for row in table.run]


def selected(data: Path, task_types: Sequence[str], limit: int, output: Path) -> Path:
    """Return a file of the questions of some task types, the first `limit` of them; 0 and no type stand for all.

    Raises:
        UserError: the file cannot be read, or none is left.
    """
    if not task_types and not limit:
        return data
    questions, lines = read_questions(data), [value for _, value in json_lines(data)]
    chosen = [
        json.dumps(line, ensure_ascii=True)
        for question, line in zip(questions, lines, strict=True)
        if not task_types or question.task_type.value in task_types
    ][: limit or None]
    if not chosen:
        raise UserError(f"{data} holds no question of {', '.join(task_types)}: name other questions")
    text = "".join(f"{line}\n" for line in chosen)
    path = output / "questions" / f"{data.stem}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"
    if not path.is_file():
        write_text(path, text)
    return path


def code_digest() -> str:
    """Return what tells the code and settings that answers are made with, 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for folder in _CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml", ".jinja") and "weights" not in path.relative_to(ROOT).parts:
                digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _planned(row: Row, values: dict[str, Any], data: Path, output: Path) -> Planned:
    text = yaml.safe_dump(values, sort_keys=True, width=110)
    draft = output / "settings" / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.yaml"
    if not draft.is_file():
        write_text(draft, text)
    settings = load_settings(draft)
    try:
        for engine in engine_settings(settings).values():
            check_engine(engine)
    except UserError as error:
        return Planned(row, data, output, missing=str(error))
    digest = hashlib.sha256(_identity(values, settings) + data.read_bytes()).hexdigest()[:16]
    folder = output / "runs" / digest
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / SETTINGS, text)
    return Planned(row, data, folder)


def _identity(values: dict[str, Any], settings: Settings) -> bytes:
    """Return what tells the settings and the weights; an adapter is told by its content, wherever it lies."""
    engine = {name: value for name, value in values.get("engine", {}).items() if name != "adapter"}
    models = [identity["weights_sha256"] for identity in identities(settings).values()]
    return json.dumps([{**values, "engine": engine}, models], sort_keys=True).encode()
