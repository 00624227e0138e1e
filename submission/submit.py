"""Make and push a submission: a tagged commit on top of HEAD with the track and the weights, and its Git LFS objects.

Branch, index and files stay as they are.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from submission.preflight.metadata import TAG_PREFIX
from submission.preflight.registry import failures, preflight, preflight_parser
from submission.preflight.repository import AICROWD, Repository, Request
from submission.preflight.weight_files import is_pointer
from utilities.errors import UserError, exit_code
from utilities.git import GitError, environment, git, lines_of
from utilities.json_files import read_object
from utilities.tracks import Track, track_by_number

# Passed to each command, so that the person or the repository needs no `git lfs install`.
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
                                           run preflight, then print each step and change nothing
  python -m submission.submit --track 3 --message "SmolLM2, PMI"
                                           tagged submission-track3-<date>-<time>
  python -m submission.submit --track 5 --message "70B" --tag submission-70b --skip-run
                                           do not run the model: this machine cannot

exit code: 0 if pushed, 1 if a check of preflight fails, 2 if a step fails
"""


@dataclass(frozen=True)
class Submission:
    """A submission that passed preflight; `weights` are files relative to the root."""

    request: Request
    track: Track
    tag: str
    message: str
    weights: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """The size of the weights."""
        return sum((self.request.root / name).stat().st_size for name in self.weights)


def main(argv: Sequence[str] | None = None) -> int:
    """Check, then commit, tag and push, or print the steps."""
    options = _options(argv)
    root, track = options.root.resolve(), options.track
    # Checked before preflight, which takes minutes.
    if not options.message.strip():
        raise UserError("--message is empty: describe the submission in a few words")
    _require_tools(root, options.remote)
    tag = options.tag or f"{TAG_PREFIX}track{track.number}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    request = Request(root, track, tag, options.remote, options.questions, with_track(root / AICROWD, track))
    if failures(preflight(request)):
        print("nothing was changed: fix the failures above, then run this command again", file=sys.stderr)
        return 1
    repository = Repository(request)
    weights = repository.weights_files if repository.needs_weights else ()
    submission = Submission(request, track, tag, options.message, weights)
    if options.dry_run:
        for number, step in enumerate(steps(submission), start=1):
            print(f"{number}. {step}")
        print("dry run: nothing was changed")
    else:
        submit(submission)
    return 0


def _require_tools(root: Path, remote: str) -> None:
    for arguments, sentence in (
        (("lfs", "version"), "git-lfs is not installed: on Debian, `apt-get install git-lfs`"),
        (("remote", "get-url", remote), f"there is no remote {remote}: `git remote add {remote} ADDRESS`"),
        (("var", "GIT_COMMITTER_IDENT"), "git knows no author: set `git config user.name` and `git config user.email`"),
    ):
        try:
            git(root, *arguments)
        except GitError:
            raise UserError(sentence) from None


def with_track(path: Path, track: Track) -> str:
    """Return the text of aicrowd.json with the id of `track`, or raise a `UserError` if it cannot be read."""
    content = read_object(path, "write it as docs/submission.md shows")
    return json.dumps({**content, "challenge_id": track.challenge_id}, ensure_ascii=False, indent=2) + "\n"


def steps(submission: Submission) -> list[str]:
    """Return the steps of `submit` in words."""
    head, size = _output(submission.request.root, "rev-parse", "--short", "HEAD"), submission.bytes / 1e6
    return [
        f"commit on {head}, beside the branch: {submission.message!r}",
        f"in it: {AICROWD} with challenge_id {submission.track.challenge_id}",
        f"in it: {len(submission.weights)} files of the weights, {size:,.1f} MB, as .gitattributes stores them",
        f"push the objects of Git LFS to {submission.request.remote}",
        f"push the tag {submission.tag} to {submission.request.remote}",
        f"keep the tag {submission.tag} here",
    ]


def submit(submission: Submission) -> None:
    """Commit, push and tag; the local tag comes last, so a failure before it leaves only loose objects.

    Raises:
        UserError: a step failed; the message names the step and the remedy.
    """
    root, remote, tag = submission.request.root, submission.request.remote, submission.tag
    _require_room(submission)
    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        # The hooks that Git LFS installs go into the temporary folder.
        lfs = (*LFS_FILTER, "-c", f"core.hooksPath={folder}")
        try:
            commit = make_commit(submission, Path(folder) / "index", lfs)
            _require_pointers(submission, commit)
            tagger = _output(root, "var", "GIT_COMMITTER_IDENT")
            header = f"object {commit}\ntype commit\ntag {tag}\ntagger {tagger}\n"
            tag_object = _output(root, "mktag", stdin=f"{header}\n{submission.message}\n")
        except GitError as error:
            raise UserError(f"nothing was committed ({error}): fix that and run the command again") from None
        _push(root, "the objects of Git LFS", *lfs, "lfs", "push", remote, commit)
        _push(root, f"the tag {tag}", "push", remote, f"{tag_object}:refs/tags/{tag}")
    print(f"submitted: {tag} at {remote}, commit {commit[:10]}", flush=True)
    try:
        git(root, "update-ref", f"refs/tags/{tag}", tag_object, "")
    except GitError as error:
        # The submission is made, so this failure does not change the exit code.
        remedy = f"once that is fixed, `git fetch {remote} tag {tag}` brings it"
        print(f"pushed, but not kept here: {error}; {remedy}", file=sys.stderr)


def _require_room(submission: Submission) -> None:
    """Require room for the copies in .git from which Git LFS pushes."""
    folder = Path(_output(submission.request.root, "rev-parse", "--absolute-git-dir"))
    needed, free = submission.bytes, shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder} has {free / 1e9:.1f} GB left and Git LFS keeps a copy of {needed / 1e9:.1f} GB there: make room"
        )


def make_commit(submission: Submission, index_file: Path, lfs: Sequence[str]) -> str:
    """Return a new commit on HEAD with track and weights, made in a separate index with the options `lfs`."""
    root, index = submission.request.root, {"GIT_INDEX_FILE": str(index_file)}
    # Read once: HEAD may move while gigabytes are copied.
    head = _output(root, "rev-parse", "--verify", "HEAD^{commit}")
    git(root, "read-tree", head, variables=index)
    blob = _output(root, "hash-object", "-w", "--stdin", stdin=submission.request.aicrowd or "")
    git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{AICROWD}", variables=index)
    names = b"".join(os.fsencode(name) + b"\0" for name in submission.weights)
    if names:
        add = ("--literal-pathspecs", "add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul")
        git(root, *lfs, *add, stdin=names, variables=index)
    tree = git(root, "write-tree", variables=index).decode().strip()
    return _output(root, "commit-tree", "-p", head, "-F", "-", tree, stdin=submission.message)


def _require_pointers(submission: Submission, commit: str) -> None:
    """Require that `commit` holds weights as Git LFS pointers, not as links, nor in full by a filter that failed."""
    root = submission.request.root
    entries = (entry.split("\t", 1) for entry in lines_of(git(root, "ls-tree", "-r", "-z", "--full-tree", commit)))
    files = {name for facts, name in entries if not facts.startswith(_LINK_MODE)}
    for name in submission.weights:
        if name.endswith(".safetensors") and (name not in files or not is_pointer(root, f"{commit}:{name}")):
            raise UserError(
                f"nothing was pushed: {name} would go without its weights, because it is not a Git LFS pointer in the "
                "commit: put the file itself there, not a link, and give it to Git LFS in .gitattributes"
            )


def _output(root: Path, *arguments: str, stdin: str = "") -> str:
    return git(root, *arguments, stdin=stdin.encode()).decode().strip()


def _push(root: Path, subject: str, *arguments: str) -> None:
    """Push with progress and prompts on the terminal: gigabytes take time, and a key may need its password."""
    print(f"pushing {subject}", flush=True)
    prompting = environment({"GIT_TERMINAL_PROMPT": "1"})
    ended = subprocess.run(["git", "-C", str(root), *arguments], env=prompting, check=False)
    if ended.returncode != 0:
        raise UserError(
            f"{subject} could not be pushed (see git's message above): no tag was made; fix the cause and repeat the "
            "command, which sends only the missing objects"
        )


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = preflight_parser("submit", __doc__, EXAMPLES)
    parser.add_argument("--track", type=track_by_number, required=True, metavar="N", help="the track, 1 to 5")
    parser.add_argument("--message", required=True, metavar="TEXT", help="the message of commit and tag")
    parser.add_argument("--tag", metavar="NAME", help="submission-... (default: made of track and time)")
    parser.add_argument("--dry-run", action="store_true", help="print each step and change nothing")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(exit_code(main))
