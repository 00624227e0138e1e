"""What the model does while it runs: the network it asks for, the files it opens, its time and its memory."""

from pathlib import Path

import pytest

from submission.preflight import model_run as run
from submission.preflight.registry import RUN_CHECKS, verdicts
from submission.preflight.repository import Request
from tests.submission.submission_copies import commit, edit_aicrowd, make_template, use_scripted_engine

pytestmark = pytest.mark.slow

MODEL = """\
import os, socket, subprocess, sys, time
from multiprocessing.connection import Client, Listener
from pathlib import Path

class UserModel:
    def get_batch_size(self):
        return 4

    def batch_predict(self, batch, is_multiple_choice):
        {action}
        return {answers}
"""
GUARDS = ("namespace", "python only")
QUIET = "try:\n            {}\n        except OSError:\n            pass"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def change(root: Path) -> None:
        use_scripted_engine(root)
        edit_aicrowd(root, gpu=False)

    folder = tmp_path_factory.mktemp("template")
    (folder / "weights").mkdir()
    return make_template(folder, folder / "weights", change)


def let_the_model(root: Path, action: str, answers: str = '["1"] * len(batch["prompt"])') -> None:
    (root / "models" / "user_config.py").write_text(MODEL.format(action=action, answers=answers))
    commit(root)


def failures(root: Path) -> dict[str, str]:
    names = {name for name, _ in RUN_CHECKS}
    found = [each for each in verdicts(Request(root, questions=4)) if each.check in names]
    assert [each.check for each in found] == [name for name, _ in RUN_CHECKS]
    return {verdict.check: verdict.found for verdict in found if verdict.state == "FAIL"}


def test_the_scripted_engine_passes(copy: Path) -> None:
    assert failures(copy) == {}


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize(
    ("action", "asked"),
    [
        ("socket.create_connection(('192.0.2.1', 443), timeout=5)", "192.0.2.1:443"),
        ("socket.getaddrinfo('models.example.org', 443)", "models.example.org"),
        ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.7', 53))", "192.0.2.7:53"),
    ],
)
def test_a_connection_is_refused_and_named(
    copy: Path, action: str, asked: str, guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if guard == "python only":
        monkeypatch.setattr(run, "namespace_command", tuple)
    let_the_model(copy, QUIET.format(action))
    found = failures(copy)
    assert list(found) == ["network"]
    assert found["network"] == f"the run tried to connect to {asked}"


def test_a_connection_of_a_child_process_is_named_too(copy: Path) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    let_the_model(copy, f'subprocess.run([sys.executable, "-c", "{code}"], stderr=subprocess.DEVNULL)')
    assert failures(copy) == {"network": "the run tried to connect to 192.0.2.1:80"}


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("address", ["('127.0.0.1', 0)", "('localhost', 0)", "None"])
def test_a_process_may_talk_to_another_on_the_same_machine(
    copy: Path, address: str, guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if guard == "python only":
        monkeypatch.setattr(run, "namespace_command", tuple)
    code = (
        "import sys; from multiprocessing.connection import Client; "
        "Client(eval(sys.argv[1]), authkey=b'k').send('hello')"
    )
    let_the_model(
        copy,
        f"listener = Listener({address}, authkey=b'k')\n"
        f'        child = subprocess.Popen([sys.executable, "-c", "{code}", repr(listener.address)])\n'
        "        assert listener.accept().recv() == 'hello' and child.wait() == 0",
    )
    assert failures(copy) == {}


def test_a_file_from_outside_is_named(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    let_the_model(copy, "Path('../secret.json').read_text()")
    assert failures(copy) == {"files": f"the run opened {tmp_path / 'secret.json'}"}


def test_a_file_that_is_not_in_git_is_named(copy: Path) -> None:
    let_the_model(copy, "Path('data/new.json').read_text()")
    (copy / "data" / "new.json").write_text("{}")
    assert failures(copy) == {"files": "the run opened data/new.json, not in git"}


def test_the_home_of_the_person_is_not_there(copy: Path) -> None:
    let_the_model(copy, "assert list(Path.home().iterdir()) == []")
    assert failures(copy) == {}


def test_a_batch_that_does_not_come_back_is_ended(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECONDS_PER_SAMPLE", 0.2)
    let_the_model(copy, "time.sleep(600)")
    found = failures(copy)
    assert list(found) == ["time"]
    assert "was not ready after" in found["time"]


def test_a_pace_that_does_not_suffice_is_named(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECONDS_A_QUESTION", 0.01)
    let_the_model(copy, "time.sleep(0.5)")
    found = failures(copy)
    assert list(found) == ["time"]
    assert "minutes" in found["time"]


def test_too_much_memory_is_ended_also_in_a_child(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "MEMORY", {False: 200_000_000})
    code = "import time; x = bytearray(300_000_000); time.sleep(60)"
    let_the_model(copy, f'subprocess.run([sys.executable, "-c", "{code}"])')
    found = failures(copy)
    assert list(found) == ["memory"]
    assert "the machine has 0 GB" in found["memory"]


@pytest.mark.parametrize(
    ("action", "answers", "phrase"),
    [
        ("pass", '["1"]', "returned 1 answers for"),
        ("pass", "None", "returned a NoneType for"),
        ("pass", '[None] * len(batch["prompt"])', "returned None among its answers"),
        ("raise KeyError('x')", "[]", "KeyError: 'x'"),
        ("os._exit(3)", "[]", "ended with code 3"),
    ],
)
def test_a_model_that_breaks_the_contract_is_named(copy: Path, action: str, answers: str, phrase: str) -> None:
    let_the_model(copy, action, answers)
    found = failures(copy)
    assert list(found) == ["model run"]
    assert phrase in found["model run"]


def test_fallbacks_are_named_with_their_reason(copy: Path) -> None:
    let_the_model(copy, "self.fallbacks = {'engine failed': 4, 'other': 0}")
    assert failures(copy)["model run"].startswith("questions answered by a fallback: engine failed: 4;")
