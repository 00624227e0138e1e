"""What a row of a table asks of which model: its settings, what it lacks, and the name under which it is kept."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evaluation.questions import json_lines, read_questions
from experiments.base import Base
from experiments.identity import code_digest, identity_of
from experiments.table import Row, Table, settings_of
from models.cooperation import engine_settings
from models.engines.registry import check_engine
from models.settings import Settings, load_settings
from utilities.errors import UserError
from utilities.files import write_text

SETTINGS = "settings.yaml"
SCORES = "scores.json"


class NoQuestionsError(UserError):
    """The data has none of the table's task types."""


class RowError(UserError):
    """A row's settings cannot be used."""


@dataclass(frozen=True)
class Options:
    """What the command line says of every table.

    `base` is what rows are laid over. `limit` is the number of questions, 0 for all; `output` keeps the runs;
    `adapters` is what `{adapters}` stands for. `any_code` takes a run that another state of the code made where this
    state's is not there.
    """

    output: Path
    adapters: Path
    base: Base
    limit: int = 0
    any_code: bool = False


@dataclass(frozen=True)
class Planned:
    """A row of a table, to be run on one file of questions.

    `folder` is where its run is kept, told by what decides its answers, `code` among it; `missing` says what it lacks
    to be run, empty for nothing.
    """

    row: Row
    data: Path
    folder: Path
    code: str
    missing: str = ""

    @property
    def finished(self) -> bool:
        """Whether the run is there."""
        return (self.folder / SCORES).is_file()


def plan(table: Table, data: Path, options: Options) -> list[Planned]:
    """Return what there is to run, with its settings written beside where its run will be.

    Raises:
        NoQuestionsError: the data has none of the table's task types.
        RowError: a row's settings cannot be used.
        UserError: the questions cannot be read.
    """
    asked = selected(data, table.task_types, options.limit, options.output)
    code = code_digest()
    return [
        _planned(
            row,
            settings_of(table, row, options.base.values, options.adapters),
            (asked, code, row.needs or table.needs),
            options,
        )
        for row in table.run
    ]


def selected(data: Path, task_types: Sequence[str], limit: int, output: Path) -> Path:
    """Return a file of the questions of some task types, the first `limit` of them; 0 and no type stand for all.

    Raises:
        NoQuestionsError: none is left.
        UserError: the file cannot be read.
    """
    questions = read_questions(data)
    if not task_types and not limit:
        return data
    lines = [value for _, value in json_lines(data)]
    chosen = [
        json.dumps(line, ensure_ascii=True)
        for question, line in zip(questions, lines, strict=True)
        if not task_types or question.task_type.value in task_types
    ][: limit or None]
    if not chosen:
        raise NoQuestionsError(
            f"{data} holds no question of {', '.join(task_types) or 'any type'}: name other questions"
        )
    text = "".join(f"{line}\n" for line in chosen)
    path = output / "questions" / f"{data.stem}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.jsonl"
    if not path.is_file():
        write_text(path, text)
    return path


def _planned(row: Row, values: dict[str, Any], made_of: tuple[Path, str, str], options: Options) -> Planned:
    """Plan a row; `made_of` are its questions, the code's digest, and how to get what may be missing."""
    data, code, needs = made_of
    text = yaml.safe_dump(values, sort_keys=True, width=110)
    draft = options.output / "settings" / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.yaml"
    if not draft.is_file():
        write_text(draft, text)
    settings = _settings(draft, row)
    try:
        for engine in engine_settings(settings).values():
            check_engine(engine)
    except UserError as error:
        return Planned(row, data, options.output, code, missing=_lacking(str(error), needs))
    digest = hashlib.sha256(identity_of(values, settings) + data.read_bytes()).hexdigest()[:16]
    folder = _kept(options, digest, code)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SETTINGS).is_file():
        write_text(folder / SETTINGS, text)
    return Planned(row, data, folder, code)


def _settings(draft: Path, row: Row) -> Settings:
    """Read a row's settings, which name everything themselves: the environment has no part in them."""
    try:
        return load_settings(draft, {})
    except UserError as error:
        raise RowError(f"row {row.name!r}: {str(error).removeprefix(f'{draft}: ')}") from None


def _kept(options: Options, digest: str, code: str) -> Path:
    """Return where a run of this code is kept, or the newest one of other code where that is wanted instead."""
    folder = options.output / "runs" / f"{digest}-{code}"
    others = [path.parent for path in options.output.glob(f"runs/{digest}*/{SCORES}")] if options.any_code else []
    if folder in others or not others:
        return folder
    return max(others, key=lambda other: (other / SCORES).stat().st_mtime)


def _lacking(message: str, needs: str) -> str:
    """Return what is missing, and how to get it: what the table says comes before what the engine advises."""
    return f"{message.partition(': ')[0]}: {needs}" if needs else message
