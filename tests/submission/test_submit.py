"""Submissions to a bare repository beside the copy, with the real Git LFS."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from submission import submit
from tests.submission.submission_copies import WEIGHTS, edit_aicrowd, git, make_template, write_sparse_tensor
from tests.tiny_tokenizer import tiny_tokenizer
from utilities.errors import UserError, exit_code
from utilities.files import ROOT
from utilities.tracks import TRACKS

pytestmark = pytest.mark.slow

TAG = "submission-v1"
LFS = "version https://git-lfs.github.com/spec/v1"


@pytest.fixture(scope="module", autouse=True)
def _git_lfs() -> None:
    if shutil.which("git-lfs") is None:
        sentence = "git-lfs is not installed: `apt-get install git-lfs`, then these tests run"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    weights = folder / "weights"
    weights.mkdir()
    tiny_tokenizer(marks_words=False, chat_template=False).save_pretrained(weights)
    (weights / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    write_sparse_tensor(weights / "model.safetensors", 50_000)
    return make_template(folder, weights, lambda root: edit_aicrowd(root, challenge_id=TRACKS[2].challenge_id))


@pytest.fixture
def copy(copy: Path, tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    git(copy, "remote", "add", "origin", str(tmp_path / "remote.git"))
    return copy


def submitted(root: Path, *more: str) -> int:
    arguments = ["--root", str(root), "--track", "5", "--message", "Tiny: 100 %", "--skip-run", *more]
    return exit_code(lambda: submit.main(arguments))


def state(root: Path) -> dict[str, str]:
    """Everything that a person has: files, branch, index, references, hooks and settings; loose objects are not."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    names = ((path.relative_to(root).as_posix(), path) for path in files)
    kept = ((name, path) for name, path in names if not name.startswith((".git/objects", ".git/lfs")))
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in kept}


def test_a_submission_arrives_whole(copy: Path, tmp_path: Path) -> None:
    head = git(copy, "rev-parse", "HEAD")
    assert submitted(copy, "--tag", TAG) == 0
    remote = tmp_path / "remote.git"
    assert git(remote, "for-each-ref", "--format=%(refname) %(objecttype)") == f"refs/tags/{TAG} tag"
    assert git(remote, "rev-parse", f"{TAG}^{{commit}}^") == head
    assert git(remote, "log", "-1", "--format=%s %an", TAG) == "Tiny: 100 % Ada"
    assert json.loads(git(remote, "show", f"{TAG}:aicrowd.json"))["challenge_id"] == TRACKS[4].challenge_id
    changed = git(remote, "diff", "--name-only", head, TAG).splitlines()
    names = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    assert changed == ["aicrowd.json", *(f"{WEIGHTS}/{name}" for name in names)]
    assert git(remote, "show", f"{TAG}:{WEIGHTS}/model.safetensors").startswith(LFS)


def test_a_clone_of_the_tag_has_the_weights_themselves(copy: Path, tmp_path: Path) -> None:
    assert submitted(copy, "--tag", TAG) == 0
    clone = tmp_path / "clone"
    git(
        tmp_path,
        "-c",
        "advice.detachedHead=false",
        "clone",
        "--quiet",
        "-b",
        TAG,
        str(tmp_path / "remote.git"),
        "clone",
    )
    git(clone, "lfs", "install", "--local")
    git(clone, "lfs", "pull")
    for path in sorted((copy / WEIGHTS).iterdir()):
        assert (clone / WEIGHTS / path.name).read_bytes() == path.read_bytes()


def test_branch_index_and_files_stay_as_they_were(copy: Path) -> None:
    before = state(copy)
    assert submitted(copy, "--tag", TAG) == 0
    after = state(copy)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    # Git LFS notes the version of its storage there.
    assert changed == {f".git/refs/tags/{TAG}", ".git/config"}
    assert git(copy, "status", "--porcelain") == ""
    assert git(copy, "rev-parse", f"{TAG}^") == git(copy, "rev-parse", "HEAD")


def test_a_dry_run_changes_nothing_and_prints_each_step(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in sorted(copy.rglob("*"))}
    assert submitted(copy, "--tag", TAG, "--dry-run") == 0
    assert {path: path.stat().st_mtime_ns for path in sorted(copy.rglob("*"))} == before
    printed = capsys.readouterr().out
    for part in (
        TRACKS[4].challenge_id,
        "4 files of the weights",
        f"push the tag {TAG} to origin",
        "nothing was changed",
    ):
        assert part in printed


def test_the_tag_is_made_of_track_and_time(copy: Path) -> None:
    assert submitted(copy) == 0
    assert git(copy, "tag").startswith("submission-track5-2")


def test_a_failing_check_changes_nothing(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert submitted(copy, "--tag", TAG) == 0
    (copy / "aicrowd.json").write_text("{}")
    before = state(copy)
    assert submitted(copy, "--tag", TAG) == 1
    assert state(copy) == before
    printed = capsys.readouterr()
    for name in ("committed", "aicrowd.json", "tag"):
        assert f"FAIL {name} " in printed.out
    assert "nothing was changed" in printed.err


def test_a_remote_that_refuses_the_tag_leaves_none_and_the_next_try_succeeds(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = tmp_path / "remote.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho over quota >&2\nexit 1\n")
    hook.chmod(0o755)
    assert submitted(copy, "--tag", TAG) == 2
    assert git(copy, "tag") == git(tmp_path / "remote.git", "tag") == ""
    assert git(copy, "status", "--porcelain") == ""
    assert f"the tag {TAG} could not be pushed" in capsys.readouterr().err
    hook.unlink()
    assert submitted(copy, "--tag", TAG) == 0


def test_objects_that_cannot_be_pushed_leave_no_tag(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "remote.git" / "lfs").write_text("in the way")
    assert submitted(copy, "--tag", TAG) == 2
    assert git(copy, "tag") == git(tmp_path / "remote.git", "tag") == ""
    assert "the objects of Git LFS could not be pushed" in capsys.readouterr().err


def test_a_tag_that_cannot_be_kept_here_is_reported_after_the_push(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git(copy, "tag", "submission-l")
    assert submitted(copy, "--tag", "submission-l/b") == 1
    assert "submission-l exists in this repository" in capsys.readouterr().out
    monkeypatch.setattr(submit, "preflight", lambda _: [])
    assert submitted(copy, "--tag", "submission-l/b") == 0
    assert git(tmp_path / "remote.git", "tag") == "submission-l/b"
    assert "pushed, but not kept here: " in capsys.readouterr().err


def test_weights_that_git_tracks_already_are_submitted_again(copy: Path, tmp_path: Path) -> None:
    assert submitted(copy, "--tag", TAG) == 0
    git(copy, "lfs", "install", "--local")
    git(copy, "add", "--force", WEIGHTS)
    git(copy, "commit", "--quiet", "--message", "weights")
    assert submitted(copy, "--tag", "submission-v2") == 0
    assert git(tmp_path / "remote.git", "diff", "--name-only", TAG, "submission-v2") == ""


def test_a_link_in_the_place_of_weights_is_never_pushed(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = copy / WEIGHTS / "model.safetensors"
    shard.rename(copy / WEIGHTS / "blob")
    shard.symlink_to("blob")
    assert submitted(copy, "--tag", TAG) == 1
    assert "is a link: git would store the link" in capsys.readouterr().out
    monkeypatch.setattr(submit, "preflight", lambda _: [])
    assert submitted(copy, "--tag", TAG) == 2
    assert f"nothing was pushed: {WEIGHTS}/model.safetensors" in capsys.readouterr().err
    assert git(copy, "tag") == git(tmp_path / "remote.git", "tag") == ""


def test_hidden_folders_of_a_download_are_left_out(copy: Path) -> None:
    (copy / WEIGHTS / ".cache").mkdir()
    (copy / WEIGHTS / ".cache" / "record").write_text("x")
    assert submitted(copy, "--tag", TAG) == 0
    assert ".cache" not in git(copy, "ls-tree", "-r", "--name-only", TAG)


def test_a_full_disk_is_noticed_before_anything_is_copied(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(copy)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert submitted(copy, "--tag", TAG) == 2
    assert not (copy / ".git" / "lfs").exists()


def test_without_git_lfs_one_sentence_says_so(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = shutil.which("git")
    assert found
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert submitted(copy) == 2
    assert capsys.readouterr().err.startswith("error: git-lfs is not installed")


def test_without_a_remote_or_an_author_one_sentence_says_so(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submitted(copy, "--remote", "elsewhere") == 2
    assert "there is no remote elsewhere" in capsys.readouterr().err
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git(copy, "config", "user.useConfigOnly", "true")
    assert submitted(copy) == 2
    assert "git knows no author" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "phrase"), [(["--track", "7"], "no track 7"), (["--message", " "], "is empty")])
def test_a_command_line_that_cannot_be_used_exits_with_2(
    copy: Path, arguments: list[str], phrase: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submitted(copy, *arguments) == 2
    assert phrase in capsys.readouterr().err


def test_only_the_track_changes_in_aicrowd_json() -> None:
    before = (ROOT / "aicrowd.json").read_text(encoding="utf-8")
    named = json.loads(before)["challenge_id"]
    for track in TRACKS:
        assert submit.with_track(ROOT / "aicrowd.json", track) == before.replace(named, track.challenge_id)


@pytest.mark.parametrize("content", ["", "[]", "3", '{"a"'])
def test_an_aicrowd_json_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "aicrowd.json").write_text(content)
    with pytest.raises(UserError, match=r"aicrowd\.json (cannot be read|holds a \w+, not names and values)"):
        submit.with_track(tmp_path / "aicrowd.json", TRACKS[0])
