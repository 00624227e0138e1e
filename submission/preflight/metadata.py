"""aicrowd.json, the track, the tag, and whether what is checked is what is committed."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from submission.preflight.repository import Repository
from submission.preflight.verdict import FailedError, NotCheckedError, listed
from submission.preflight.weight_files import tensors_of
from utilities.git import GitError, git, lines_of

TAG_PREFIX = "submission-"
_TAGS = "refs/tags/"
_REMOTE_SECONDS = 30.0


def _is_authors(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) and name.strip() for name in value)


FIELDS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "challenge_id": (lambda value: isinstance(value, str), "the id of a track, as text"),
    "authors": (_is_authors, "a list of AIcrowd user names, at least one"),
    "gpu": (lambda value: isinstance(value, bool), "true or false, without quotes"),
    "description": (lambda value: isinstance(value, str), "a text"),
}
OPTIONAL = frozenset({"description"})


def check_repository(repository: Repository) -> str:
    """Require a git repository with a commit."""
    return f"{repository.root}, {len(repository.tracked)} files in git"


def check_aicrowd(repository: Repository) -> str:
    """Require the fields that the evaluator reads, no misspelt one, and the id of a track."""
    content: Mapping[str, Any] = repository.aicrowd
    unknown = sorted(set(content) - set(FIELDS))
    if unknown:
        raise FailedError(f"unknown field {listed(unknown)}", f"use only: {', '.join(FIELDS)}")
    for name, (holds, wanted) in FIELDS.items():
        if name not in content and name not in OPTIONAL:
            raise FailedError(f"{name} is missing", f"add {name}: {wanted}")
        if name in content and not holds(content[name]):
            raise FailedError(f"{name} is {content[name]!r}", f"write {wanted}")
    return f"{repository.track.challenge_id}, gpu {str(repository.gpu).lower()}"


def check_track(repository: Repository) -> str:
    """Require that aicrowd.json names the track that is asked for."""
    track, asked = repository.track, repository.request.track
    if asked is not None and track != asked:
        raise FailedError(
            f"aicrowd.json names track {track.number}, asked for is track {asked.number}",
            f'set "challenge_id" to "{asked.challenge_id}" (`python -m submission.submit` does)',
        )
    return f"track {track.number}, {track.minutes} minutes"


def check_committed(repository: Repository) -> str:
    """Require that nothing is changed or new beside the commit; the submission adds the weights itself."""
    tracked = repository.tracked
    output = git(repository.root, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
    weights = _weights_or_none(repository)
    changed = [line[3:] for line in lines_of(output) if line[3:] in tracked or line[3:] not in weights]
    if changed:
        raise FailedError(f"not committed: {listed(changed)}", "commit the changes, or take them back")
    commit = git(repository.root, "rev-parse", "--short", "HEAD").decode().strip()
    return f"all of it in commit {commit}"


def _weights_or_none(repository: Repository) -> frozenset[str]:
    try:
        tensors_of(repository)
        return frozenset(repository.weights_files)
    except (FailedError, NotCheckedError):
        return frozenset()


def check_tag(repository: Repository) -> str:
    """Require a tag that begins as the evaluator wants it, that git accepts, and that is free here and there."""
    tag, remote = repository.request.tag, repository.request.remote
    if tag is None:
        raise NotCheckedError("no --tag given")
    _require_tag_name(repository, tag)
    if repository.tracked:
        named = git(repository.root, "for-each-ref", "--format=%(refname)", _TAGS).decode(errors="replace").split("\n")
        _require_free(tag, named, "in this repository")
    if remote not in git(repository.root, "remote").decode().split():
        return f"{tag} is free here; there is no remote {remote} to ask"
    try:
        answer = git(repository.root, "ls-remote", "--tags", "--refs", remote, seconds=_REMOTE_SECONDS)
    except GitError as error:
        raise FailedError(
            f"{remote} cannot be asked: {error}", "mend its address (`git remote -v`) or the access"
        ) from None
    _require_free(
        tag, [line.partition("\t")[2] for line in answer.decode(errors="replace").split("\n")], f"at {remote}"
    )
    return f"{tag} is free here and at {remote}"


def _require_free(tag: str, references: Iterable[str], where: str) -> None:
    """Git keeps a tag as a file of its name, so that `a` and `a/b` cannot both be."""
    for taken in (reference.removeprefix(_TAGS) for reference in references if reference):
        if taken == tag:
            raise FailedError(f"{tag} exists {where}", "choose another name")
        if taken.startswith(f"{tag}/") or tag.startswith(f"{taken}/"):
            raise FailedError(f"{taken} exists {where}, and git cannot keep {tag} beside it", "choose another name")


def _require_tag_name(repository: Repository, tag: str) -> None:
    if not tag.startswith(TAG_PREFIX) or tag == TAG_PREFIX:
        raise FailedError(
            f"{tag!r} does not begin with {TAG_PREFIX!r} and a name", f"choose {TAG_PREFIX}v1 or the like"
        )
    try:
        git(repository.root, "check-ref-format", f"refs/tags/{tag}")
    except GitError:
        raise FailedError(f"{tag!r} is no name that git accepts", "use letters, digits, dots and hyphens") from None
