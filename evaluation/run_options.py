"""Options of local_evaluation.py for the model that is asked, and for the questions that it is asked."""

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from evaluation.questions import QuestionRow
from models.settings import ADAPTER_VARIABLE, FILE_VARIABLE, MODEL_VARIABLE, WEIGHTS_VARIABLE, settings_file
from utilities.errors import UserError
from utilities.files import write_text
from utilities.typed_yaml import read_mapping

SETTINGS = "settings.yaml"
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


@contextmanager
def chosen_model(options: argparse.Namespace) -> Iterator[None]:
    """Set the environment variables that the options stand for, and restore the environment at the end.

    `--set` writes the changed settings to settings.yaml in the output folder.

    Raises:
        UserError: the settings file cannot be read, or a change of `--set` does not have the form NAME=VALUE.
    """
    before = dict(os.environ)
    file = str(options.settings.absolute()) if options.settings else None
    given = {
        FILE_VARIABLE: file,
        MODEL_VARIABLE: options.model,
        WEIGHTS_VARIABLE: options.weights and _absolute(options.weights),
        ADAPTER_VARIABLE: options.adapter and _absolute(options.adapter),
    }
    os.environ.update({name: value for name, value in given.items() if value})
    try:
        if options.set:
            os.environ[FILE_VARIABLE] = str(_changed_settings(options.set, options.output / SETTINGS))
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _absolute(path: str) -> str:
    """Return a folder of the working directory as an absolute path; others are names, or lie in the repository."""
    return str(Path(path).expanduser().absolute()) if Path(path).expanduser().is_dir() else path


def _changed_settings(changes: Sequence[str], path: Path) -> Path:
    values = read_mapping(settings_file(), "the settings", "name a file by --settings")
    for change in changes:
        name, equals, text = change.partition("=")
        if not name or not equals:
            raise UserError(f"--set {change}: write NAME=VALUE, as in --set prompts.external_information=0")
        _put(values, name.split("."), _value(change, text), change)
    write_text(path, yaml.safe_dump(values, allow_unicode=True, sort_keys=False))
    return path.absolute()


def _value(change: str, text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"--set {change}: the value is not YAML: put quotation marks around a text") from None


def _put(values: dict[str, Any], names: Sequence[str], value: object, change: str) -> None:
    *blocks, last = names
    for block in blocks:
        values = values.setdefault(block, {})
        if not isinstance(values, dict):
            raise UserError(f"--set {change}: {block} holds a value, not a block of settings")
    values[last] = value


def sampled(questions: Sequence[QuestionRow], samples: str) -> list[QuestionRow]:
    """Return the questions that `--samples` names: numbers from 1, ranges, or names of tasks, joined by commas.

    Raises:
        UserError: a number is outside of the data, or no question has a task of this name.
    """
    chosen: set[int] = set()
    for part in filter(None, map(str.strip, samples.split(","))):
        found = _RANGE.fullmatch(part)
        chosen.update(_numbered(found, part, len(questions)) if found else _of_task(questions, part))
    if not chosen:
        raise UserError(f"--samples {samples!r} names no question: write numbers, ranges or names of tasks")
    return [questions[index] for index in sorted(chosen)]


def _numbered(found: re.Match[str], part: str, count: int) -> Iterator[int]:
    first, last = int(found[1]), int(found[2] or found[1])
    if not 1 <= first <= last <= count:
        raise UserError(f"--samples {part}: the data has the questions 1 to {count}; write a range from low to high")
    yield from range(first - 1, last)


def _of_task(questions: Sequence[QuestionRow], name: str) -> list[int]:
    found = [index for index, question in enumerate(questions) if question.task_name == name]
    if not found:
        known = ", ".join(dict.fromkeys(question.task_name for question in questions))
        raise UserError(f"--samples {name}: there is no such task; the data has: {known}")
    return found
