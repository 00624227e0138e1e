"""Make and push a submission: a commit beside the branch with track and weights, tagged, with its Git LFS objects."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from submission.preflight.metadata import TAG_PREFIX
from submission.preflight.registry import add_run_options, failures, preflight
from submission.preflight.repository import AICROWD, Repository, Request
from submission.preflight.weight_files import is_pointer
from utilities.errors import UserError, exit_code
from utilities.files import ROOT
from utilities.git import GitError, environment, git, lines_of
from utilities.tracks import Track, track_by_number

# Given with each command, so that `git lfs install` need not have been run for the person or the repository.
LFS_FILTER = (
    *("-c", "filter.lfs.process=git-lfs filter-process"),
    *("-c", "filter.lfs.clean=git-lfs clean -- %f"),
    *("-c", "filter.lfs.smudge=git-lfs smudge -- %f"),
    *("-c", "filter.lfs.required=true"),
)

_LINK_MODE = "120000"

EXAMPLES = """\
examples:
  python -m submission.submit --track 3 --message "SmolLM2, PMI" --dry-run
                                           preflight, then print each step and change nothing
  python -m submission.submit --track 3 --message "SmolLM2, PMI"
                                           tagged submission-track3-<date>-<time>
  python -m submission.submit --track 5 --message "70B" --tag submission-70b --skip-run
                                           do not run the model: this machine cannot

The commit stands on HEAD and is known by its tag alone: branch, index and files stay as they are.

exit code: 0 when pushed, 1 when a check of preflight fails, 2 when a step cannot be made
"""


@dataclass(frozen=True)
class Submission:
    """What is submitted, from where to where; `aicrowd` is the new text of aicrowd.json."""

    root: Path
    track: Track
    tag: str
    message: str
    remote: str
    aicrowd: str
    weights: tuple[str, ...] = ()


def main(argv: Sequence[str] | None = None) -> int:
    """Check, then commit, tag and push, or say what would be done."""
    options = _options(argv)
    submission = _planned(options)
    request = Request(
        root=submission.root,
        track=submission.track,
        tag=submission.tag,
        remote=submission.remote,
        questions=None if options.skip_run else options.questions,
        aicrowd=submission.aicrowd,
    )
    failed = failures(preflight(request))
    if failed:
        print("nothing was changed: mend what failed above, then run this command again", file=sys.stderr)
        return 1
    submission = replace(submission, weights=_weights(request))
    if options.dry_run:
        _print_steps(submission)
    else:
        submit(submission)
    return 0


def _weights(request: Request) -> tuple[str, ...]:
    repository = Repository(request)
    return repository.weights_files if repository.needs_weights else ()


def _planned(options: argparse.Namespace) -> Submission:
    """Find out everything that keeps a submission from being made, before the minutes that preflight takes."""
    root = options.root.resolve()
    track = track_by_number(options.track)
    if not options.message.strip():
        raise UserError("--message is empty: say in a few words what is submitted")
    _require_tools(root, options.remote)
    tag = options.tag or f"{TAG_PREFIX}track{track.number}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    return Submission(root, track, tag, options.message, options.remote, with_track(root / AICROWD, track))


def _require_tools(root: Path, remote: str) -> None:
    try:
        git(root, "lfs", "version")
    except GitError:
        raise UserError("git-lfs is not installed: on Debian, `apt-get install git-lfs`") from None
    try:
        git(root, "remote", "get-url", remote)
    except GitError as error:
        raise UserError(f"there is no remote {remote} ({error}): `git remote add {remote} ADDRESS`") from None
    try:
        git(root, "var", "GIT_COMMITTER_IDENT")
    except GitError:
        raise UserError("git knows no author: set `git config user.name` and `git config user.email`") from None


def with_track(path: Path, track: Track) -> str:
    """Return the text of aicrowd.json with the id of `track`.

    Raises:
        UserError: the file is missing or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["challenge_id"] = track.challenge_id
    except (OSError, ValueError, RecursionError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}): write it as docs/submission.md shows") from None
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _print_steps(submission: Submission) -> None:
    for number, step in enumerate(steps(submission), start=1):
        print(f"{number}. {step}")
    print("dry run: nothing was changed")


def steps(submission: Submission) -> list[str]:
    """Say what `submit` does, a line a step."""
    head = _said(submission.root, "rev-parse", "--short", "HEAD")
    size = _bytes_of(submission)
    return [
        f"commit on {head}, beside the branch: {submission.message!r}",
        f"in it: {AICROWD} with challenge_id {submission.track.challenge_id}",
        f"in it: {len(submission.weights)} files of the weights, {size / 1e6:,.1f} MB, as .gitattributes stores them",
        f"push the objects of Git LFS to {submission.remote}",
        f"push the tag {submission.tag} to {submission.remote}",
        f"keep the tag {submission.tag} here",
    ]


def submit(submission: Submission) -> None:
    """Commit, push and tag; the tag appears here last, so whatever fails before leaves no trace but loose objects.

    Raises:
        UserError: a step failed; the message says which and what to do.
    """
    root, remote, tag = submission.root, submission.remote, submission.tag
    _require_room(submission)
    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        work = Path(folder)
        try:
            commit = make_commit(submission, work)
            _require_pointers(submission, commit)
            tag_object = _make_tag(submission, commit)
        except GitError as error:
            raise UserError(f"nothing was committed ({error}): mend that and run the command again") from None
        _push(root, "the objects of Git LFS", *_lfs(work), "lfs", "push", remote, commit)
        _push(root, f"the tag {tag}", "push", remote, f"{tag_object}:refs/tags/{tag}")
    print(f"submitted: {tag} at {remote}, commit {commit[:10]}", flush=True)
    _keep_tag(submission, tag_object)


def _keep_tag(submission: Submission, tag_object: str) -> None:
    """Name the tag here, too; the submission is made, so a failure of this is told and changes no exit code."""
    try:
        git(submission.root, "update-ref", f"refs/tags/{submission.tag}", tag_object, "")
    except GitError as error:
        print(
            f"pushed, but not kept here: {error}; once that is mended, "
            f"`git fetch {submission.remote} tag {submission.tag}` brings it",
            file=sys.stderr,
        )


def _require_pointers(submission: Submission, commit: str) -> None:
    """Look at what would be pushed itself: a link or a filter that did not run would leave a model without weights.

    Raises:
        UserError: a safetensors file of the weights is no pointer of Git LFS in `commit`.
    """
    root = submission.root
    names = [name for name in submission.weights if name.endswith(".safetensors")]
    entries = (entry.split("\t", 1) for entry in lines_of(git(root, "ls-tree", "-r", "-z", "--full-tree", commit)))
    files = {name for facts, name in entries if not facts.startswith(_LINK_MODE)}
    wrong = [name for name in names if name not in files or not is_pointer(root, f"{commit}:{name}")]
    if wrong:
        raise UserError(
            f"nothing was pushed: {wrong[0]} would go without its weights, it is no pointer of Git LFS in the "
            "commit: put the file itself there, not a link, and give it to Git LFS in .gitattributes"
        )


def _lfs(work: Path) -> tuple[str, ...]:
    """Return git's options for Git LFS; the hooks that it likes to install go into `work`."""
    return (*LFS_FILTER, "-c", f"core.hooksPath={work}")


def _require_room(submission: Submission) -> None:
    """Git LFS keeps a copy of every object in .git, from which it pushes."""
    folder = Path(_said(submission.root, "rev-parse", "--absolute-git-dir"))
    needed, free = _bytes_of(submission), shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder} has {free / 1e9:.1f} GB left and Git LFS keeps a copy of {needed / 1e9:.1f} GB there: make room"
        )


def _bytes_of(submission: Submission) -> int:
    return sum((submission.root / name).stat().st_size for name in submission.weights)


def make_commit(submission: Submission, work: Path) -> str:
    """Return a new commit on HEAD with track and weights, made in an index of its own in the folder `work`."""
    root, index = submission.root, {"GIT_INDEX_FILE": str(work / "index")}
    # Named once: HEAD may move while gigabytes are copied.
    head = _said(root, "rev-parse", "--verify", "HEAD^{commit}")
    git(root, "read-tree", head, variables=index)
    blob = _said(root, "hash-object", "-w", "--stdin", stdin=submission.aicrowd.encode())
    git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{AICROWD}", variables=index)
    names = b"".join(os.fsencode(name) + b"\0" for name in submission.weights)
    if names:
        add = ("--literal-pathspecs", "add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul")
        git(root, *_lfs(work), *add, stdin=names, variables=index)
    tree = git(root, "write-tree", variables=index).decode().strip()
    return _said(root, "commit-tree", "-p", head, "-F", "-", tree, stdin=submission.message.encode())


def _make_tag(submission: Submission, commit: str) -> str:
    """Return an annotated tag that no reference names yet."""
    tagger = _said(submission.root, "var", "GIT_COMMITTER_IDENT")
    header = f"object {commit}\ntype commit\ntag {submission.tag}\ntagger {tagger}\n"
    return _said(submission.root, "mktag", stdin=f"{header}\n{submission.message}\n".encode())


def _said(root: Path, *arguments: str, stdin: bytes | None = None) -> str:
    return git(root, *arguments, stdin=stdin).decode().strip()


def _push(root: Path, what: str, *arguments: str) -> None:
    """Push with progress and questions on the terminal: gigabytes take their time, a key may want its password."""
    print(f"pushing {what}", flush=True)
    ended = subprocess.run(
        ["git", "-C", str(root), *arguments], env=environment({"GIT_TERMINAL_PROMPT": "1"}), check=False
    )
    if ended.returncode != 0:
        raise UserError(
            f"{what} could not be pushed (git's reason stands above): no tag was made; repeat the command when it is "
            "mended, what was sent already is not sent again"
        )


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m submission.submit",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--track", type=int, required=True, metavar="N", help="the track, 1 to 5")
    parser.add_argument("--message", required=True, metavar="TEXT", help="the message of commit and tag")
    parser.add_argument("--tag", metavar="NAME", help="submission-... (default: made of track and time)")
    parser.add_argument("--remote", default="origin", metavar="NAME", help="where to push (default: %(default)s)")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="the repository (default: this one)")
    parser.add_argument("--dry-run", action="store_true", help="change nothing and print each step")
    add_run_options(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(exit_code(main))
