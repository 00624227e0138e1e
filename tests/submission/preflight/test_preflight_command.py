"""The command `python -m submission.preflight`: a whole repository passes, and the report says everything."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from submission.preflight import __main__ as preflight
from submission.preflight.registry import CHECKS, RUN_CHECKS, preflight_parser, verdicts
from submission.preflight.repository import Request
from tests.submission.submission_copies import copy_of, drop_line, edit_aicrowd, git, make_template
from utilities.errors import exit_code
from utilities.files import ROOT
from utilities.tracks import TRACKS


@pytest.mark.slow
def test_a_copy_of_the_repository_passes_with_a_real_run(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All folders are copied, and settings are loaded as in use."""
    fields = {"challenge_id": TRACKS[2].challenge_id, "gpu": True}
    whole = make_template(tmp_path, tiny_folder, lambda root: edit_aicrowd(root, **fields), ("tests/models/",))
    (tmp_path / "home").mkdir()
    copy = copy_of(whole, tmp_path / "home", monkeypatch)
    monkeypatch.setenv("SHOPALIGN_WEIGHTS", str(tmp_path / "not" / "heeded"))
    found = list(verdicts(Request(copy, track=TRACKS[2], tag="submission-v1", questions=4)))
    assert {verdict.check: verdict.found for verdict in found if verdict.state != "ok"} == {}
    assert [verdict.check for verdict in found] == [name for name, _ in (*CHECKS, *RUN_CHECKS)]
    assert git(copy, "status", "--porcelain") == ""


def test_every_check_is_explained_in_the_docs() -> None:
    text = (ROOT / "docs" / "submission.md").read_text(encoding="utf-8")
    assert [name for name, _ in (*CHECKS, *RUN_CHECKS) if f"| `{name}` |" not in text] == []


@pytest.mark.slow
def test_the_command_line_prints_a_line_a_check_and_writes_json(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drop_line("apt.txt", "gcc")(copy)
    arguments = ["--root", str(copy), "--skip-run", "--output", str(tmp_path / "out" / "report.json")]
    assert preflight.main(arguments) == 1
    printed = capsys.readouterr().out
    assert "FAIL committed" in printed
    assert "remedy: commit the changes" in printed
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["passed"] is False
    assert {"check": "memory", "state": "skip", "found": "skipped by --skip-run", "remedy": ""} in report["checks"]
    git(copy, "checkout", "--quiet", "apt.txt")
    assert preflight.main(arguments) == 0


def test_the_model_is_run_unless_the_run_is_skipped() -> None:
    parse = preflight_parser("preflight", None, "").parse_args
    assert [parse(each).questions for each in ([], ["--questions", "4"], ["--skip-run"])] == [16, 4, None]


@pytest.mark.parametrize("arguments", [["--root", "/nowhere/at/all"], ["--track", "9", "--skip-run"]])
def test_a_command_line_that_cannot_be_used_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(lambda: preflight.main(arguments)) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.slow
def test_help_explains_itself() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "submission.preflight", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "examples:" in ended.stdout
