"""A build that fails says why in one sentence and loses nothing."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval.products.build import Request, build
from retrieval.products.catalogue import Catalog
from retrieval.products.search_engine import SearchError, Writer
from retrieval.products.staging import Staging
from tests.retrieval.products.product_samples import opened, request, sample, titles, write_lines
from utilities.errors import UserError
from utilities.files import ROOT


def untouched(wanted: Request, message: str) -> None:
    """Build over an existing catalogue in vain: it still answers, and nothing lies about."""
    before = {path: path.read_bytes() for path in wanted.output.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=message) as error:
        build(wanted)
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in wanted.output.rglob("*") if path.is_file()} == before
    assert not list(wanted.output.parent.glob(f"{wanted.output.name}?*"))
    assert titles(Catalog.open(wanted.output), "camera") == ["Camera XT-30 black"]


def test_an_existing_catalogue_is_replaced_only_by_force(folder: Path, tmp_path: Path) -> None:
    other = write_lines(tmp_path / "other.jsonl", [{"title": "Rake"}])
    untouched(request(folder, [other]), "is there already: give --force")
    assert titles(opened(request(folder, [other], force=True)), "rake camera") == ["Rake"]
    assert not list(tmp_path.glob("catalog?*"))


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    other = write_lines(tmp_path / "other.jsonl", [{"title": "Rake"}])
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="was not made by this command"):
        build(request(home, [other], force=True))
    assert (home / "letter.txt").read_text() == "dear"
    assert not (tmp_path / "home.partial").exists()


def test_a_replacement_that_fails_halfway_is_undone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_lines(tmp_path / "other.jsonl", [{"title": "Rake"}])
    rename = Path.rename

    def fail_for_partial(path: Path, target: Path) -> Path:
        if path.suffix == ".partial":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_for_partial)
    untouched(request(folder, [other], force=True), "Input/output error")


def test_an_output_without_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot hold a catalogue"):
        build(request(Path("/"), [write_lines(tmp_path / "other.jsonl", [{"title": "Rake"}])]))


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    assert titles(opened(request(tmp_path / "c", [write_lines(tmp_path / "p.jsonl", [{"title": "Rake"}])])), "rake")


def test_a_source_with_a_corrupt_line_loses_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"title": "Rake"}\n{"title": \n')
    untouched(request(folder, [tmp_path / "bad.jsonl"], force=True), r"bad\.jsonl, line 2: not JSON")


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("part", "method", "error"),
    [
        (Writer, "add", SearchError("An IO error occurred: 'No space left on device (os error 28)'")),
        (Writer, "finish", OSError(28, "No space left on device")),
        (Staging, "add_product", OSError(28, "No space left on device")),
        (Staging, "add_product", sqlite3.OperationalError("database or disk is full")),
    ],
)
def test_a_full_disk_is_one_sentence_and_loses_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type, method: str, error: BaseException
) -> None:
    other = write_lines(tmp_path / "other.jsonl", [{"title": "Rake"}])
    monkeypatch.setattr(part, method, failing(error))
    untouched(request(folder, [other], force=True), r"cannot be built \(its disk is full\): make room")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("free_kilobytes", [0, 40, 200, 500, 900])
def test_a_disk_that_fills_up_is_one_sentence_and_loses_nothing(
    small_disk: Path, tmp_path: Path, free_kilobytes: int
) -> None:
    build(request(small_disk / "c", sample(tmp_path).sources))
    rows = ({"title": f"{os.urandom(20).hex()} {number}"} for number in range(9_000))
    other = write_lines(tmp_path / "many.jsonl", rows)
    room = shutil.disk_usage(small_disk).free - free_kilobytes * 1000
    (small_disk / "filler").write_bytes(b"x" * room)
    untouched(request(small_disk / "c", [other], force=True), r"cannot be built \(.*\): make room")


SLOW = """\
import signal, sys, time
from functools import partial
from pathlib import Path
from tests.retrieval.products.product_samples import request
from retrieval.products.build import build
from retrieval.products.staging import Staging

def slowly(self, *_):
    # A shell's background processes begin with this signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print("building", flush=True)
    time.sleep(60)

Staging.add_product = slowly
build(request(Path(sys.argv[1]), [Path(sys.argv[2])], force=True))
"""


def start_slow_build(folder: Path, source: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SLOW, str(folder), str(source)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "building\n"
    return child


@pytest.mark.slow
def test_a_second_build_is_refused_and_a_killed_one_is_taken_over(folder: Path, tmp_path: Path) -> None:
    other = write_lines(tmp_path / "other.jsonl", [{"title": "Rake"}])
    child = start_slow_build(folder, other)
    try:
        with pytest.raises(UserError, match="is being filled by another build: wait"):
            build(request(folder, [other], force=True))
        assert titles(Catalog.open(folder), "camera")
    finally:
        child.kill()
        child.communicate()
    assert (tmp_path / "catalog.partial").exists()
    assert titles(Catalog.open(folder), "camera")
    assert titles(opened(request(folder, [other], force=True)), "rake") == ["Rake"]
    assert not list(tmp_path.glob("catalog?*"))


@pytest.mark.slow
def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    child = start_slow_build(tmp_path / "new", write_lines(tmp_path / "other.jsonl", [{"title": "Rake"}]))
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=120)
    assert [path.name for path in tmp_path.iterdir()] == ["other.jsonl"]


def test_a_build_killed_between_two_renames_is_repaired_by_the_next(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "catalog.replaced")
    (tmp_path / "bad.jsonl").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        build(request(folder, [tmp_path / "bad.jsonl"], force=True))
    assert titles(Catalog.open(folder), "camera")


def test_a_restored_catalogue_is_not_replaced_without_force(folder: Path, tmp_path: Path) -> None:
    other = write_lines(tmp_path / "other.jsonl", [{"title": "Rake"}])
    folder.rename(tmp_path / "catalog.replaced")
    with pytest.raises(UserError, match="is there already: give --force"):
        build(request(folder, [other]))
    assert titles(Catalog.open(folder), "camera")
    assert not list(tmp_path.glob("catalog?*"))
