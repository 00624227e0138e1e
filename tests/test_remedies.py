"""Messages name options, variables and modules that exist, and a remedy that is typed is taken."""

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

import local_evaluation
from evaluation import exclusions
from experiments import run as experiments
from models.engines import weights
from retrieval.embeddings import VARIABLE as EMBEDDINGS_VARIABLE
from submission.preflight import __main__ as preflight
from tests.evaluation.echoing import Describing
from tests.messages import Message, commands_that_run, messages
from tests.pages import missing_modules, missing_paths, missing_settings
from tests.printed_commands import all_help_of, commands_in, help_of, programs
from tuning import chain, select_data
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.quiet import LOG_VARIABLE

MESSAGES = messages(ROOT)
VARIABLES = {
    LOG_VARIABLE,
    EMBEDDINGS_VARIABLE,
    *(f"SHOPALIGN_{n}" for n in ("MODEL", "WEIGHTS", "ADAPTER", "SETTINGS")),
}
Main = Callable[[Sequence[str]], int]
DATA = ["--data", "{folder}/data.jsonl"]


def unknown_options(message: Message, known: Callable[[str], str]) -> list[str]:
    """Return the options that no command has which can print the message."""
    helps = [known(program) for program in commands_that_run(ROOT).get(message.file, ())]
    return [each for each in message.options if not any(re.search(rf"{each}(?![\w-])", text) for text in helps)]


@pytest.mark.slow
def test_messages_name_options_of_a_command_that_can_print_them() -> None:
    naming = [message for message in MESSAGES if message.options]
    assert len(naming) > 60
    assert [(message, found) for message in naming if (found := unknown_options(message, all_help_of))] == []


def test_an_option_that_no_command_has_is_found() -> None:
    planted = Message("evaluation/exclusions.py", 1, "name another file by --into, not by --output")
    assert unknown_options(planted, lambda _: "--output FILE  --into-it FILE") == ["--into"]
    assert Message("a.py", 1, "run `cp --recursive a b`, or give --force").options == ["--force"]


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


def message_of(main: Main, arguments: Sequence[str]) -> str:
    """Return the message with which a command ends, empty if it does its work."""
    try:
        main(arguments)
    except UserError as error:
        return str(error)
    return ""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the cases name; what takes long, or changes the repository, is replaced."""
    (tmp_path / "answers.jsonl").write_text('"1"\n"2"\n', encoding="utf-8")
    choice = {
        "input_field": "1",
        "output_field": 1,
        "task": "choices",
        "task_type": "multiple-choice",
        "metric": "accuracy",
    }
    (tmp_path / "data.jsonl").write_text("\n".join([json.dumps(choice)] * 3), encoding="utf-8")
    (tmp_path / "filled").mkdir()
    (tmp_path / "filled" / "file").touch()
    step = {"name": "only", "run": "tuning.select_data", "options": {"source": "{rows}", "sizes": 1}}
    recipe = {"given": {"rows": "a file of rows"}, "steps": [step]}
    (tmp_path / "chain.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    module = ModuleType("models.user_config")
    module.UserModel = Describing  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "models.user_config", module)
    monkeypatch.setattr(experiments, "_written", lambda *_: [])
    monkeypatch.setattr(weights, "_build", lambda workspace, *_: (workspace / "model").mkdir())
    monkeypatch.setattr(chain, "_run", lambda *_: 0.0)
    return tmp_path


EVALUATE = [*DATA, "--no-report", "--output", "{folder}/out"]
SAVED = [*EVALUATE, "--answers", "{folder}/answers.jsonl"]
TABLES = ["experiments/tables/finetuning.yaml", "experiments/tables/hybrids.yaml", "--output", "{folder}/out"]
CHAIN = ["--recipe", "{folder}/chain.yaml", "--output", "{folder}/out"]
ROWS = ["--source", "data/development.json", "--output", "{folder}/out"]
CASES: Sequence[tuple[Main, Sequence[str], str, Sequence[str]]] = [
    (exclusions.main, ["data/development.json", "--output", "data/development.json"], "--output .* name another file",
     ["data/development.json", "--output", "{folder}/exclusions.jsonl"]),
    (local_evaluation.main, SAVED, "--data, --limit and --samples", [*SAVED, "--limit", "2"]),
    (local_evaluation.main, SAVED, "--data, --limit and --samples", [*SAVED, "--samples", "2-3"]),
    (local_evaluation.main, [*SAVED, "--limit", "2", "--model", "x"], "leave it out", [*SAVED, "--limit", "2"]),
    (local_evaluation.main, [*EVALUATE, "--samples", "9000"], "from low to high", [*EVALUATE, "--samples", "1-2"]),
    (local_evaluation.main, [*EVALUATE, "--samples", "nothing"], "the data has: choices",
     [*EVALUATE, "--samples", "choices"]),
    (local_evaluation.main, [*EVALUATE, "--samples", ","], "write numbers", [*EVALUATE, "--samples", "1"]),
    (local_evaluation.main, [*EVALUATE, "--limit", "1", "--set", "x"], "as in --set prompts.external_information=0",
     [*EVALUATE, "--limit", "1", "--set", "prompts.external_information=0"]),
    (local_evaluation.main, [*EVALUATE, "--limit", "1", "--set", "prompts.x=[1"], "quotation marks",
     [*EVALUATE, "--limit", "1", "--set", "prompts.x='[1'"]),
    (local_evaluation.main, [*EVALUATE, "--limit", "1", "--settings", "{folder}/no.yaml", "--set", "a=1"],
     "name a file by --settings", [*EVALUATE, "--limit", "1", "--settings", "models/settings.yaml", "--set", "a=1"]),
    (experiments.main, ["--output", "{folder}/out"], "or --all", ["--all", "--output", "{folder}/out"]),
    (experiments.main, [*TABLES, "--markdown", "{folder}/page.md"], "name a folder",
     [*TABLES, "--markdown", "{folder}/pages"]),
    (weights.main, ["fetch", "--to", "{folder}/filled"], "choose another --to", ["fetch", "--to", "{folder}/new"]),
    (weights.main, ["verify", "{folder}/none"], "fetch --to {folder}/none`", ["fetch", "--to", "{folder}/none"]),
    (chain.main, CHAIN, "needs --given rows=PATH", [*CHAIN, "--given", "rows={folder}/answers.jsonl"]),
    (chain.main, [*CHAIN, "--given", "row=x"], "asks for rows", [*CHAIN, "--given", "rows={folder}/answers.jsonl"]),
    (chain.main, [*CHAIN, "--given", "rows=/none"], "does not exist",
     [*CHAIN, "--given", "rows={folder}/answers.jsonl"]),
    (select_data.main, [*ROWS, "--sizes", "9", "--held-out-output", "{folder}/held.jsonl"], "needs --held-out N",
     [*ROWS, "--sizes", "9", "--held-out-output", "{folder}/held.jsonl", "--held-out", "3"]),
    (select_data.main, [*ROWS, "--sizes", "9", "--leave-out", "nothing"], "name one of .*price_arithmetic",
     [*ROWS, "--sizes", "9", "--leave-out", "price_arithmetic"]),
    (preflight.main, ["--root", "/none", "--skip-run"], "name the root", ["--root", "{folder}", "--skip-run"]),
]  # fmt: skip


@pytest.mark.parametrize(("main", "arguments", "message", "remedy"), CASES)
def test_a_remedy_that_is_typed_is_taken(
    main: Main, arguments: Sequence[str], message: str, remedy: Sequence[str], folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def filled(texts: Sequence[str]) -> list[str]:
        return [text.replace("{folder}", str(folder)) for text in texts]

    monkeypatch.chdir(ROOT)
    assert re.search(filled([message])[0], message_of(main, filled(arguments)))
    assert message_of(main, filled(remedy)) == ""
