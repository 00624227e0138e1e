"""A damaged catalogue is refused in one sentence."""

import hashlib
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from retrieval.products.__main__ import main
from retrieval.products.catalogue import Catalog
from retrieval.products.manifest import MANIFEST, check_files, checksum, read_manifest
from retrieval.products.search_engine import SearchError
from utilities.errors import UserError, exit_code


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
    (folder / MANIFEST).write_text(json.dumps({**content, "checksum": checksum(content)}))


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
    assert "is not a folder" in refused(tmp_path / "nowhere")
    (tmp_path / "nowhere.partial").mkdir()
    assert "has not ended, or was stopped" in refused(tmp_path / "nowhere")
    assert "not a finished catalogue" in refused(tmp_path / "nowhere.partial")


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
        with suppress(UserError, SearchError):
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


def test_the_command_line_ends_with_2_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.csv").write_text("title\na,b\n")
    commands = (["build", "--output", str(tmp_path / "c"), str(tmp_path / "bad.csv")], ["info", str(tmp_path / "c")])
    for command in (*commands, ["query", str(tmp_path / "c"), "drill"], ["verify", str(tmp_path / "c")]):
        assert exit_code(partial(main, command)) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert said.count("\n") == 1
