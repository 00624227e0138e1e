"""Plans the rows of a table: the questions, settings, missing files and folder of each run.

The folder's name is a key of all that affects the answers: settings, weights, evidence, questions, code and packages.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evaluation.questions import read_questions, with_types
from evaluation.run_record import code_digest
from experiments.row_settings import Base, settings_of
from experiments.table import Row, Table
from models.cooperation import engine_settings, identities
from models.engines.registry import check_engine
from models.engines.settings import engine_identity
from models.settings import Settings, load_settings
from retrieval.embeddings import ENGLISH, PACKAGED, available_models
from retrieval.products.manifest import MANIFEST
from retrieval.settings import FITTED
from retrieval.sources import weights_file
from utilities.errors import UserError
from utilities.files import ROOT, write_text
from utilities.fingerprint import fingerprint, sha256
from utilities.tables import read_rows

SETTINGS = "settings.yaml"
SCORES = "scores.json"


class NoQuestionsError(UserError):
    """The data has none of the table's task types."""


class RowError(UserError):
    """The settings of a row are invalid."""


@dataclass(frozen=True)
class Options:
    """Options of the command line that apply to every table.

    `output` keeps the runs; rows override `base`; `adapters` replaces `{adapters}`; `limit` is the number of questions,
    0 for all. `any_code` accepts a run of different code if the current code has none.
    """

    output: Path
    adapters: Path
    base: Base
    limit: int = 0
    any_code: bool = False


@dataclass(frozen=True)
class Planned:
    """A row with its questions, the folder of its run, the hash of the code, and the missing weights, empty if none."""

    row: Row
    data: Path
    folder: Path
    code: str
    missing: str = ""

    @property
    def finished(self) -> bool:
        """Whether the row has a finished run."""
        return not self.missing and (self.folder / SCORES).is_file()


def plan(table: Table, data: Path, options: Options) -> list[Planned]:
    """Return the rows to run, and write the settings of each into the folder of its run.

    Raises:
        NoQuestionsError: the data has none of the table's task types.
        RowError: the settings of a row are invalid.
        UserError: the questions cannot be read.
    """
    asked = selected(data, table.task_types, options.limit, options.output)
    code = code_digest()
    return [_planned(table, row, asked, code, options) for row in table.run]


def selected(data: Path, task_types: Sequence[str], limit: int, output: Path) -> Path:
    """Return a file of the first `limit` questions of some task types; 0 and no type select all.

    Raises:
        NoQuestionsError: none is left.
        UserError: the file cannot be read.
    """
    questions = read_questions(data)
    if not task_types and not limit:
        return data
    chosen = [
        json.dumps(row if is_json else with_types(row), ensure_ascii=True)
        for question, (_, row, _, is_json) in zip(questions, read_rows(data), strict=True)
        if not task_types or question.task_type in task_types
    ][: limit or None]
    if not chosen:
        raise NoQuestionsError(
            f"{data} holds no question of {', '.join(task_types) or 'any type'}: name other questions"
        )
    text = "".join(f"{line}\n" for line in chosen)
    return _kept_text(output / "questions", f"{data.stem}-", text, ".jsonl")


def _planned(table: Table, row: Row, data: Path, code: str, options: Options) -> Planned:
    values = settings_of(table, row, options.base.values, options.adapters)
    text = yaml.safe_dump(values, sort_keys=True, width=110)
    settings = _settings(_kept_text(options.output / "settings", "", text, ".yaml"), row)
    try:
        for engine in engine_settings(settings).values():
            check_engine(engine)
    except UserError as error:
        needs = row.needs or table.needs
        missing = f"{str(error).partition(': ')[0]}: {needs}" if needs else str(error)
        return Planned(row, data, options.output, code, missing)
    key = hashlib.sha256(identity_of(values, settings) + data.read_bytes()).hexdigest()[:16]
    folder = _run_folder(options, key, code)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SETTINGS).is_file():
        write_text(folder / SETTINGS, text)
    return Planned(row, data, folder, code)


def _kept_text(folder: Path, prefix: str, text: str, suffix: str) -> Path:
    """Write a text under its hash, unless it is there, and return the file."""
    path = folder / f"{prefix}{hashlib.sha256(text.encode()).hexdigest()[:12]}{suffix}"
    if not path.is_file():
        write_text(path, text)
    return path


def _settings(path: Path, row: Row) -> Settings:
    """Read the settings of a row. They are complete: the environment must not override them again."""
    try:
        return load_settings(path, {})
    except UserError as error:
        raise RowError(f"row {row.name!r}: {str(error).removeprefix(f'{path}: ')}") from None


def _run_folder(options: Options, key: str, code: str) -> Path:
    """Return the folder for this key and code; with `any_code`, the newest finished run if this code has none."""
    folder = options.output / "runs" / f"{key}-{code}"
    others = [path.parent for path in options.output.glob(f"runs/{key}*/{SCORES}")] if options.any_code else []
    if folder in others or not others:
        return folder
    return max(others, key=lambda other: (other / SCORES).stat().st_mtime)


def identity_of(values: Mapping[str, Any], settings: Settings) -> bytes:
    """Return the part of a row's key that settings, weights and evidence make; an adapter counts by its content.

    Raises:
        UserError: a file of fitted weights cannot be read.
    """
    engine = {name: value for name, value in values.get("engine", {}).items() if name != "adapter"}
    models = [identity["weights_sha256"] for identity in identities(settings).values()]
    engines = [engine_identity(each)["weights_sha256"] for each in engine_settings(settings).values()]
    # With further embedding models more tasks are scored.
    scorers = [name for name in available_models() if name != ENGLISH]
    parts = [{**values, "engine": engine}, models, engines, _evidence_hashes(settings), *scorers]
    return json.dumps(parts, sort_keys=True).encode()


def _evidence_hashes(settings: Settings) -> list[str]:
    """Return hashes of the files that evidence is made and weighted with; missing files are skipped."""
    knowledge = settings.knowledge
    vectors = ROOT / Path(knowledge.vectors).expanduser()
    found = [fingerprint(vectors)] if knowledge.vectors != PACKAGED and (vectors / "config.json").is_file() else []
    if knowledge.catalog:
        found += _hashes([ROOT / Path(knowledge.catalog).expanduser() / MANIFEST])
    if knowledge.combine == FITTED:
        files = (weights_file(knowledge, identity) for identity in identities(settings).values())
        found += _hashes(path for path in files if path)
    return found


def _hashes(paths: Iterable[Path]) -> list[str]:
    return [sha256(path) for path in paths if path.is_file()]
