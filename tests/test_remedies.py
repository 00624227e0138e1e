"""Messages name options, variables and modules that exist, and a remedy that is typed is taken."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from retrieval.embeddings import VARIABLE as EMBEDDINGS_VARIABLE
from tests.messages import Message, commands_that_run, messages, messages_with_options
from tests.pages import missing_modules, missing_paths, missing_settings
from tests.printed_commands import all_help_of, commands_in, help_of, programs
from tests.remedies import (
    benchmark_cases,
    catalogue_cases,
    evaluation_cases,
    experiment_cases,
    selection_cases,
    submission_cases,
    tuning_cases,
)
from tests.remedies.case import Case, changed_options, pattern_of, said_by
from tests.remedies.place import fill
from utilities.files import ROOT
from utilities.quiet import LOG_VARIABLE

MESSAGES = messages(ROOT)
NAMING = messages_with_options(ROOT)
SLOW = (*submission_cases.SLOW, *tuning_cases.SLOW, *benchmark_cases.SLOW)
CASES: Sequence[Case] = (
    *evaluation_cases.CASES,
    *experiment_cases.CASES,
    *catalogue_cases.CASES,
    *submission_cases.CASES,
    *selection_cases.CASES,
    *tuning_cases.CASES,
    *benchmark_cases.CASES,
    *SLOW,
)
VARIABLES = {
    LOG_VARIABLE,
    EMBEDDINGS_VARIABLE,
    *(f"SHOPALIGN_{n}" for n in ("MODEL", "WEIGHTS", "ADAPTER", "SETTINGS")),
}
PLANTED = '''
"""Names --to."""
HINT = "choose another --to"
WORDS = "read by --to"


def main(option, folder):
    """Take --to."""
    add("--to", help="instead of --to")
    raise UserError(f"{option} is a folder: {HINT}")
    raise ArgumentTypeError(f"{folder} is no folder")
    check(folder, "--to")
    run(["--to", "--other"])
    print(f"--{folder} is missing")
    return (folder, "--to")
'''


def unknown_options(message: Message, known: Callable[[str], str]) -> list[str]:
    """Return the options that no command has which can print the message, or which it names."""
    named = [program for program in programs(ROOT) if program in message.text]
    table = ["experiments.run"] if message.file.startswith("experiments/tables/") else []
    helps = [known(program) for program in (*commands_that_run(ROOT).get(message.file, ()), *named, *table)]
    return [each for each in message.options if not any(re.search(rf"{each}(?![\w-])", text) for text in helps)]


@pytest.mark.slow
def test_messages_name_options_of_a_command_that_can_print_them() -> None:
    naming = [message for message in {*MESSAGES, *NAMING} if message.options]
    assert len(naming) > 90
    assert [(message, found) for message in naming if (found := unknown_options(message, all_help_of))] == []


def test_an_option_that_no_command_has_is_found() -> None:
    planted = Message("evaluation/exclusions.py", 1, "name another file by --into, not by --output")
    assert unknown_options(planted, lambda _: "--output FILE  --into-it FILE") == ["--into"]
    assert Message("a.py", 1, "run `cp --recursive a b`, or give --force").options == ["--force"]


def test_all_kinds_of_messages_that_name_an_option_are_listed(tmp_path: Path) -> None:
    (tmp_path / "utilities").mkdir()
    (tmp_path / "utilities" / "planted.py").write_text(PLANTED, encoding="utf-8")
    assert [message.text for message in messages_with_options(tmp_path)] == [
        "{option} is a folder: choose another --to",
        "argument {option}: {} is no folder",
        "check(--to)",
        "--{} is missing",
        "(--to)",
    ]


@pytest.mark.parametrize("file", sorted({message.file for message in MESSAGES}))
def test_messages_name_variables_modules_settings_and_paths_that_exist(file: str) -> None:
    text = "\n".join(message.text for message in MESSAGES if message.file == file)
    assert set(re.findall(r"SHOPALIGN_[A-Z_]*[A-Z]\b", text)) <= VARIABLES
    assert missing_modules(ROOT, text) == []
    assert missing_settings(text) == []
    assert missing_paths(ROOT, text) == []


@pytest.mark.slow
def test_messages_print_commands_with_options_that_exist() -> None:
    printed = [code for message in MESSAGES for code in re.findall(r"`([^`]+)`", message.text)]
    commands = [each for each in commands_in(printed) if each.program in programs(ROOT)]
    assert len(commands) > 5
    for command in commands:
        known = all_help_of(command.program)
        assert [option for option in command.options if option not in known] == [], command
    assert "--to" in help_of("models.engines.weights", "fetch")


def test_each_message_that_names_an_option_has_a_case() -> None:
    """A new message needs a case of `tests.remedies`, which triggers it and types its remedy."""
    assert len(NAMING) > 110
    assert [message for message in NAMING if not any(case.shows(message) for case in CASES)] == []


def test_each_case_is_for_a_message() -> None:
    named = [(file, part) for case in CASES for file, part in ((case.file, case.part), *case.also)]
    found = [(message.file, message.text) for message in NAMING]
    assert [each for each in named if not any(each[0] == file and each[1] in text for file, text in found)] == []


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=f"{case.file}: {case.part}", marks=pytest.mark.slow if case in SLOW else ())
        for case in CASES
    ],
)
def test_a_remedy_that_is_typed_is_taken(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path)
    monkeypatch.chdir(tmp_path)
    case.prepare(tmp_path, monkeypatch)
    patterns = [pattern_of(message) for message in NAMING if case.shows(message)]
    error, printed = said_by(case.typed)
    shown = [line for line in (error, *printed.splitlines()) if all(re.search(each, line) for each in patterns)]
    assert shown, f"{patterns} are not all in {error or printed!r}"
    remedy = case.after(shown[0])
    error, printed = said_by(remedy)
    assert error == ""
    assert not any(re.search(patterns[0], line) for line in printed.splitlines())
    changed = changed_options(case.typed, remedy)
    assert any(re.search(rf"{each}(?![\w-])", shown[0]) for each in changed), f"{shown[0]!r} names none of {changed}"
