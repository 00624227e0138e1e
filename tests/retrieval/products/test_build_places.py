"""A build touches nothing but its own, and a path that cannot be used is one sentence."""

import os
from functools import partial
from pathlib import Path

import pytest

from retrieval.products.__main__ import main
from retrieval.products.build import build
from retrieval.products.catalogue import Catalog
from retrieval.products.manifest import MANIFEST, check_files, read_manifest
from tests.retrieval.products.product_samples import opened, request, titles, write_lines
from utilities.errors import UserError, exit_code


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "p.jsonl", [{"title": "Rake"}])


def write(path: Path, text: str = "mine") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def everything(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def refused(folder: Path, source: Path, message: str, *, force: bool = True) -> None:
    before = everything(folder)
    with pytest.raises(UserError, match=message) as error:
        build(request(folder / "cat", [source], force=force))
    assert "\n" not in str(error.value)
    assert everything(folder) == before


@pytest.mark.parametrize("name", ["cat.partial/a", "cat.replaced/a", "cat.partial", "cat.replaced"])
@pytest.mark.parametrize("there", [False, True])
def test_what_only_bears_the_name_of_a_build_is_left_alone(
    tmp_path: Path, source: Path, name: str, there: bool
) -> None:
    if there:
        build(request(tmp_path / "cat", [source]))
    write(tmp_path / name)
    refused(tmp_path, source, "and a build needs that name|which needs that name")


def test_both_foreign_folders_stay(tmp_path: Path, source: Path) -> None:
    write(tmp_path / "cat.partial/a")
    write(tmp_path / "cat.replaced/b/c")
    refused(tmp_path, source, "was not made by a build")


def test_a_link_is_not_followed(tmp_path: Path, source: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "cat.partial").symlink_to(tmp_path / "home")
    refused(tmp_path, source, "was not made by a build")


@pytest.mark.parametrize("leftover", [(), ("cat.partial/",), ("cat.partial/build.lock", "cat.partial/staging.sqlite")])
def test_a_refusal_removes_only_what_it_made(tmp_path: Path, source: Path, leftover: tuple[str, ...]) -> None:
    write(tmp_path / "cat/letter.txt")
    for name in leftover:
        (tmp_path / name).mkdir() if name.endswith("/") else write(tmp_path / name)
    refused(tmp_path, source, "was not made by this command")


def test_a_refusal_for_lack_of_force_keeps_the_older_catalogue(tmp_path: Path, source: Path) -> None:
    build(request(tmp_path / "cat", [source]))
    build(request(tmp_path / "cat.replaced", [source]))
    refused(tmp_path, source, "give --force", force=False)
    assert titles(opened(request(tmp_path / "cat", [source], force=True)), "rake") == ["Rake"]
    assert not list(tmp_path.glob("cat?*"))


def test_an_empty_folder_with_the_name_is_used(tmp_path: Path, source: Path) -> None:
    (tmp_path / "cat.partial").mkdir()
    assert titles(opened(request(tmp_path / "cat", [source])), "rake") == ["Rake"]
    assert not list(tmp_path.glob("cat?*"))


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "x" * 250])
def test_a_name_that_no_file_can_have_is_one_sentence(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder, good = str(tmp_path / name), str(tmp_path / "c")
    commands = [
        ["info", folder],
        ["query", folder, "x"],
        ["verify", folder],
        ["build", "--output", folder, str(source)],
    ]
    for command in (*commands, ["build", "--output", good, f"{folder}.csv"]):
        assert exit_code(partial(main, command)) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert said.count("error: ") == 1


def test_a_folder_that_may_not_be_looked_into_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = read_manifest(folder)
    stat = Path.stat

    def denied(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if folder in path.parents:
            raise PermissionError(13, "Permission denied")
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", denied)
    with pytest.raises(UserError, match=rf"{MANIFEST} cannot be read \(Permission denied\)"):
        Catalog.open(folder)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        check_files(folder, manifest)
