"""Checks of aicrowd.json, the settings and the tag, and that all checked files are committed."""

import os
from collections.abc import Iterable

from submission.preflight.repository import FailedError, NotCheckedError, Repository, listed
from submission.preflight.weight_files import tensors_of
from utilities.git import GitError, git, lines_of

TAG_PREFIX = "submission-"
_TAGS = "refs/tags/"
_REMOTE_SECONDS = 30.0


def check_repository(repository: Repository) -> str:
    """Require a git repository with a commit."""
    return f"{repository.root}, {len(repository.tracked)} files in git"


def check_aicrowd(repository: Repository) -> str:
    """Require the fields that the evaluator reads, no unknown one, and the id of a track."""
    return f"{repository.track.challenge_id}, gpu {str(repository.aicrowd.gpu).lower()}"


def check_track(repository: Repository) -> str:
    """Require that aicrowd.json names the requested track."""
    track, asked = repository.track, repository.request.track
    if asked is not None and track != asked:
        raise FailedError(
            f"aicrowd.json names track {track.number}, --track is {asked.number}",
            f'set "challenge_id" to "{asked.challenge_id}" (`python -m submission.submit` does)',
        )
    return f"track {track.number}, {track.minutes} minutes"


def check_settings(repository: Repository) -> str:
    """Require settings that load without this shell's variables."""
    engine = repository.settings.engine
    ignored = sorted(name for name in os.environ if name.startswith("SHOPALIGN_"))
    note = f"; {', '.join(ignored)} ignored, the evaluator sets none" if ignored else ""
    return f"engine {engine('name')}, weights {engine('weights')}{note}"


def check_committed(repository: Repository) -> str:
    """Require that no file is changed or new, except the weights, which the submission adds itself."""
    tracked = repository.tracked
    output = git(repository.root, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
    try:
        tensors_of(repository)
        weights = frozenset(repository.weights_files)
    except (FailedError, NotCheckedError):
        weights = frozenset()
    changed = [line[3:] for line in lines_of(output) if line[3:] in tracked or line[3:] not in weights]
    if changed:
        raise FailedError(f"not committed: {listed(changed)}", "commit the changes, or undo them")
    commit = git(repository.root, "rev-parse", "--short", "HEAD").decode().strip()
    return f"all of it in commit {commit}"


def check_tag(repository: Repository) -> str:
    """Require a tag that has the evaluator's prefix, that git accepts, and that is free here and at the remote."""
    tag, remote = repository.request.tag, repository.request.remote
    if tag is None:
        raise NotCheckedError("no --tag given")
    if not tag.startswith(TAG_PREFIX) or tag == TAG_PREFIX:
        raise FailedError(f"{tag!r} does not begin with {TAG_PREFIX!r} and a name", f"choose {TAG_PREFIX}v1")
    try:
        git(repository.root, "check-ref-format", f"refs/tags/{tag}")
    except GitError:
        raise FailedError(f"{tag!r} is not a name that git accepts", "use letters, digits, dots and hyphens") from None
    if repository.tracked:
        named = git(repository.root, "for-each-ref", "--format=%(refname)", _TAGS)
        _require_free(tag, lines_of(named, b"\n"), "in this repository")
    if remote not in git(repository.root, "remote").decode().split():
        return f"{tag} is free here; there is no remote {remote}"
    try:
        answer = git(repository.root, "ls-remote", "--tags", "--refs", remote, seconds=_REMOTE_SECONDS)
    except GitError as error:
        raise FailedError(f"{remote} does not answer: {error}", "correct its address (`git remote -v`)") from None
    _require_free(tag, (line.partition("\t")[2] for line in lines_of(answer, b"\n")), f"at {remote}")
    return f"{tag} is free here and at {remote}"


def _require_free(tag: str, references: Iterable[str], where: str) -> None:
    """Require that no tag has this name; git keeps a tag as a file, so `a` and `a/b` exclude each other too."""
    for taken in (reference.removeprefix(_TAGS) for reference in references):
        if taken == tag:
            raise FailedError(f"{tag} exists {where}", "choose another name")
        if taken.startswith(f"{tag}/") or tag.startswith(f"{taken}/"):
            raise FailedError(f"{taken} exists {where}, and git cannot keep {tag} beside it", "choose another name")
