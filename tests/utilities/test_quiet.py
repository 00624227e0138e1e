"""Libraries are quiet on the terminal, and their lines are in the log file."""

import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.printed_commands import programs
from utilities.errors import exit_code
from utilities.files import ROOT
from utilities.quiet import LOG_VARIABLE, printing_to_log, quiet_libraries

OURS = re.compile(
    r"task +type +metric|task type +score|track +score|category_description +generation|generation +[\d.]+|"
    r"amazon-kdd-cup-24|overall: |loading: |[\d.]+ s a question on this machine|slowest batch: |fallbacks: |events: |"
    r"files: |report: |predicting: |.* was fitted for another model .*|$"
)

MARK = "--- an evaluation\n"
PROCESS = f"""
import sys

from local_evaluation import main
from tests.printed_commands import help_of, programs
from utilities.errors import exit_code
from utilities.files import ROOT

for name in programs(ROOT):
    print("help:", help_of(name))
for stream in (sys.stdout, sys.stderr):
    stream.write({MARK!r})
sys.exit(exit_code(lambda: main(sys.argv[1:])))
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "made" / "libraries.log"))
    return tmp_path / "made" / "libraries.log"


def test_lines_below_errors_go_to_the_log_and_ours_and_errors_to_both(
    log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with quiet_libraries():
        for name in ("library_imported_later", "shopalign"):
            logging.getLogger(name).warning("a warning of %s", name)
            logging.getLogger(name).error("an error of %s", name)
        # pytest replaces the function that logging captures warnings with.
        logging.getLogger("py.warnings").warning("a Python warning")
    written = log.read_text(encoding="utf-8")
    assert [part in written for part in ("a warning of lib", "an error of lib", "a Python w")] == [True] * 3
    shown = [record.getMessage() for record in caplog.records]
    assert shown == ["an error of library_imported_later", "a warning of shopalign", "an error of shopalign"]
    logging.getLogger("library_imported_later").warning("after the command")
    assert caplog.records[-1].getMessage() == "after the command"
    assert "after the command" not in log.read_text(encoding="utf-8")


def test_printed_lines_go_to_the_log(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with printing_to_log():
        print("a banner")
    assert (capsys.readouterr().out, log.read_text(encoding="utf-8")) == ("", "a banner\n")


def test_a_command_restores_the_environment_and_the_handling_of_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOG_VARIABLE, raising=False)
    before, shown, made = dict(os.environ), warnings.showwarning, logging.getLoggerClass()
    inside = str(ROOT / "outputs" / "libraries.log")
    assert exit_code(lambda: int(os.environ[LOG_VARIABLE] == inside)) == 1
    assert (dict(os.environ), warnings.showwarning, logging.getLoggerClass()) == (before, shown, made)


def test_a_log_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(LOG_VARIABLE, str(tmp_path / "file" / "below.log"))
    with quiet_libraries(), printing_to_log():
        logging.getLogger("library_of_a_full_disk").warning("lost")
    assert "Traceback" not in capsys.readouterr().err


@pytest.fixture(scope="module")
def printed(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What a new process prints to both streams: the helps of all commands, then an evaluation.

    One process imports all libraries, so each is imported once and could print its lines.
    """
    folder = tmp_path_factory.mktemp("quiet")
    environment = {**os.environ, LOG_VARIABLE: str(folder / "libraries.log"), "OMP_NUM_THREADS": "1"}
    evaluation = ["--limit", "2", "--weights", str(tiny_folder), "--output", str(folder / "out")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore::RuntimeWarning:runpy", "-c", PROCESS, *evaluation], cwd=ROOT, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    helps, evaluated = zip(done.stdout.split(MARK), done.stderr.split(MARK), strict=True)
    return {"helps": helps, "evaluation": evaluated}


@pytest.mark.slow
def test_a_local_evaluation_prints_lines_of_the_package_only(printed: Mapping[str, tuple[str, str]]) -> None:
    output, errors = printed["evaluation"]
    assert [line for line in re.split(r"[\r\n]+", output + "\n" + errors) if not OURS.match(line)] == []
    assert "overall: " in output
    assert "was fitted for another model" in errors


@pytest.mark.slow
def test_help_texts_are_all_that_the_commands_print(printed: Mapping[str, tuple[str, str]]) -> None:
    output, errors = printed["helps"]
    assert output.count("help: usage: ") == len(programs(ROOT))
    assert errors == ""
