"""Damaged catalogues are refused in one sentence, and a build that fails loses nothing."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from retrieval.products import search_engine as engine
from retrieval.products import staging
from retrieval.products.__main__ import main
from retrieval.products.build import Request, build
from retrieval.products.catalogue import Catalog
from retrieval.products.manifest import MANIFEST, _checksum, check_files, read_manifest
from tests.retrieval.products.product_samples import opened, request, sample, titles, write_lines
from utilities.errors import UserError, exit_code
from utilities.files import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    wanted = sample(tmp_path)
    build(wanted)
    return wanted.output


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        Catalog.open(folder)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert "build it again" in sentence
    return sentence


def names(folder: Path) -> list[str]:
    return [entry.name for entry in read_manifest(folder).files]


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and give it the checksum that fits."""
    content = json.loads((folder / MANIFEST).read_text())
    del content["checksum"]
    change(content)
    (folder / MANIFEST).write_text(json.dumps({**content, "checksum": _checksum(content)}))


def test_a_flipped_byte_of_any_file_is_found(folder: Path) -> None:
    for name in (*names(folder), MANIFEST):
        whole = (folder / name).read_bytes()
        for at in {0, len(whole) // 2, len(whole) - 2}:
            (folder / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert name.split("/")[-1] in refused(folder)
        (folder / name).write_bytes(whole)
    Catalog.open(folder)


def test_a_truncated_file_is_found(folder: Path) -> None:
    for name in (*names(folder), MANIFEST):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[:-3])
        assert name.split("/")[-1] in refused(folder)
        (folder / name).write_bytes(whole)


def test_a_missing_file_is_found(folder: Path) -> None:
    for name in (*names(folder), MANIFEST):
        (folder / name).rename(folder / "elsewhere")
        assert name.split("/")[-1] in refused(folder)
        (folder / "elsewhere").rename(folder / name)


def test_a_missing_folder_and_a_half_built_one_are_told_apart(tmp_path: Path) -> None:
    assert "is no folder" in refused(tmp_path / "nowhere")
    (tmp_path / "nowhere.partial").mkdir()
    assert "has not ended, or was stopped" in refused(tmp_path / "nowhere")
    assert "no finished catalogue" in refused(tmp_path / "nowhere.partial")


def test_another_version_is_refused(folder: Path) -> None:
    edit(folder, lambda content: content.update(format=99))
    assert "has format 99, and this version reads 1" in refused(folder)


def test_an_index_of_words_made_in_another_way_is_refused(folder: Path) -> None:
    edit(folder, lambda content: content.update(folding="0123"))
    assert "splits words in another way" in refused(folder)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "products/../../secret", "products/a/b", "products/..", "x"]
)
def test_no_name_of_a_file_leads_out_of_the_folder(folder: Path, name: str) -> None:
    edit(folder, lambda content: content["files"][0].update(name=name))
    with pytest.raises(UserError, match="is none of a catalogue"):
        Catalog.open(folder)


def test_a_manifest_of_other_content_is_refused(folder: Path) -> None:
    for text in ("[]", "{}", "null", "{", "\xff", '{"format": 1, "checksum": 3}', "[" * 100_000):
        (folder / MANIFEST).write_text(text, encoding="latin-1")
        refused(folder)


def test_files_that_the_engine_cannot_read_are_refused(folder: Path) -> None:
    """Checksums that fit bytes which are no index: what a hostile manifest could say."""
    for name in names(folder):
        path = folder / name
        whole, manifest = path.read_bytes(), (folder / MANIFEST).read_bytes()
        data = b"\x00" * len(whole)
        path.write_bytes(data)

        def fit(content: dict[str, Any], name: str = name, data: bytes = data) -> None:
            entry = next(each for each in content["files"] if each["name"] == name)
            entry.update(crc32=zlib.crc32(data), sha256=hashlib.sha256(data).hexdigest())

        edit(folder, fit)
        with suppress(UserError, engine.EngineError):
            catalog = Catalog.open(folder)
            catalog.products("drill", 3)
            catalog.related("drill", 3)
        path.write_bytes(whole)
        (folder / MANIFEST).write_bytes(manifest)


def test_verify_ends_with_2_for_a_wrong_checksum(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, lambda content: content["files"][-1].update(sha256="0" * 64))
    Catalog.open(folder)
    assert exit_code(lambda: main(["verify", str(folder)])) == 2
    assert capsys.readouterr().err.startswith("error: ")
    with pytest.raises(UserError, match="checksum is wrong"):
        check_files(folder, read_manifest(folder), thorough=True)


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
    with pytest.raises(UserError, match="no place for a catalogue"):
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
        (engine.Writer, "add", engine.EngineError("An IO error occurred: 'No space left on device (os error 28)'")),
        (engine.Writer, "finish", OSError(28, "No space left on device")),
        (staging.Staging, "add_product", OSError(28, "No space left on device")),
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
from retrieval.products import build, product_pass

def slowly(self, *_):
    # A shell's background processes begin with this signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print("building", flush=True)
    time.sleep(60)

product_pass.ProductPass._add = slowly
build.build(request(Path(sys.argv[1]), [Path(sys.argv[2])], force=True))
"""


def start_slow_build(folder: Path, source: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SLOW, str(folder), str(source)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "building\n"
    return child


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


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    child = start_slow_build(tmp_path / "new", write_lines(tmp_path / "other.jsonl", [{"title": "Rake"}]))
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=120)
    assert [path.name for path in tmp_path.iterdir()] == ["other.jsonl"]


def test_a_build_killed_between_two_renames_is_mended_by_the_next(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "catalog.replaced")
    (tmp_path / "bad.jsonl").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        build(request(folder, [tmp_path / "bad.jsonl"], force=True))
    assert titles(Catalog.open(folder), "camera")


def test_the_command_line_ends_with_2_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.csv").write_text("title\na,b\n")
    commands = (["build", "--output", str(tmp_path / "c"), str(tmp_path / "bad.csv")], ["info", str(tmp_path / "c")])
    for command in (*commands, ["query", str(tmp_path / "c"), "drill"], ["verify", str(tmp_path / "c")]):
        assert exit_code(partial(main, command)) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert said.count("\n") == 1
