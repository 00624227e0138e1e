"""A submission's tag has the evaluator's prefix, is a name for git, and is free here and at the remote."""

from pathlib import Path

import pytest

from submission.preflight.metadata import check_tag
from submission.preflight.registry import judged
from submission.preflight.repository import Repository, Request
from tests.submission.submission_copies import git

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("tag", ["v1", "submission-", "submission-a..b", "submission-a b", "submission-x.lock"])
def test_a_tag_that_cannot_be_is_refused(copy: Path, tag: str) -> None:
    repository = Repository(Request(copy, tag=tag))
    assert judged("tag", lambda: check_tag(repository)).state == "FAIL"


def test_a_tag_that_is_taken_is_refused_here_and_at_the_remote(copy: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    git(copy, "remote", "add", "origin", str(tmp_path / "remote.git"))
    for tag in ("submission-a", "submission-d/1"):
        git(copy, "tag", tag)
    for tag in ("submission-b", "submission-e/1"):
        git(copy, "push", "--quiet", "origin", f"HEAD:refs/tags/{tag}")
    for tag, phrase in {
        "submission-a": "exists in this repository",
        "submission-b": "exists at origin",
        "submission-a/1": "submission-a exists in this repository, and git cannot keep",
        "submission-b/1": "submission-b exists at origin, and git cannot keep",
        "submission-d": "submission-d/1 exists in this repository, and git cannot keep",
        "submission-e": "submission-e/1 exists at origin, and git cannot keep",
        "submission-c": "is free here and at origin",
    }.items():
        repository = Repository(Request(copy, tag=tag))
        assert phrase in judged("tag", lambda asked=repository: check_tag(asked)).found  # type: ignore[misc]
