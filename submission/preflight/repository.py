"""The repository under check: what several checks ask about, each worked out once."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from submission.preflight.verdict import FailedError, NotCheckedError
from utilities.git import GitError, git, lines_of
from utilities.tracks import TRACKS, Track

AICROWD = "aicrowd.json"
# The evaluator sets none of these, and a cache of the person's own would hide a file that the repository lacks.
_NOT_THE_EVALUATORS = ("SHOPALIGN_", "HF_", "TRANSFORMERS_", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")
# A rule of .gitattributes that sets or takes away a filter: a pattern, then attributes.
_FILTER = re.compile(r"^[ \t]*[^#\s].*[ \t][-!]?filter(=|[ \t]|$)", re.MULTILINE)
_PROBE = """\
import dataclasses, json
from models.cooperation import engine_settings
from models.settings import adapter_folders, load_settings, weights_folder
settings = load_settings()
values = {"settings": dataclasses.asdict(settings), "folder": str(weights_folder(settings.engine))}
values["adapters"] = [
    {"name": name, "folder": str(folder), "engine": engine.name}
    for engine in engine_settings(settings).values() for name, folder in adapter_folders(engine).items() if folder
]
print(json.dumps(values, default=str))
"""
_PROBE_SECONDS = 120.0


@dataclass(frozen=True)
class Request:
    """What is asked of preflight.

    `aicrowd` is the text that a submission puts in the place of the repository's own `aicrowd.json`, `questions` how
    many the model is run on; None leaves the run out.
    """

    root: Path
    track: Track | None = None
    tag: str | None = None
    remote: str = "origin"
    questions: int | None = None
    aicrowd: str | None = None


@dataclass(frozen=True)
class UsedAdapter:
    """A LoRA adapter as the settings or the catalogue name it, its folder, and the engine that runs it."""

    name: str
    folder: Path
    engine: str


@dataclass(frozen=True)
class UsedSettings:
    """The settings as the evaluator would load them, with the folders of the weights and adapters that they name."""

    values: Mapping[str, Any]
    folder: Path
    adapters: tuple[UsedAdapter, ...]

    def engine(self, name: str) -> str:
        """Return a setting of the engine as text, "" when there is none of this name."""
        engine = self.values.get("engine")
        return str(engine.get(name, "")) if isinstance(engine, Mapping) else ""


class Repository:
    """One repository, read only; a property raises `FailedError` in the name of the check that reports it."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.root = request.root.resolve()

    @cached_property
    def aicrowd(self) -> Mapping[str, Any]:
        """Return the content of aicrowd.json."""
        try:
            text = self.request.aicrowd or (self.root / AICROWD).read_text(encoding="utf-8")
            content = json.loads(text)
        except (OSError, ValueError, RecursionError) as error:
            raise FailedError(f"cannot be read: {error}", "write it as docs/submission.md shows", AICROWD) from None
        if not isinstance(content, dict):
            raise FailedError(f"holds a {type(content).__name__}, not an object", "put it into { and }", AICROWD)
        return content

    @cached_property
    def track(self) -> Track:
        """Return the track that aicrowd.json names."""
        named = self.aicrowd.get("challenge_id")
        for track in TRACKS:
            if track.challenge_id == named:
                return track
        known = ", ".join(track.challenge_id for track in TRACKS)
        raise FailedError(f"challenge_id {named!r} is no track", f"write one of: {known}", AICROWD)

    @property
    def gpu(self) -> bool:
        """Return the gpu flag of aicrowd.json."""
        flag = self.aicrowd.get("gpu")
        if not isinstance(flag, bool):
            raise FailedError(f"gpu is {flag!r}", "write true or false, without quotes", AICROWD)
        return flag

    @cached_property
    def tracked(self) -> frozenset[str]:
        """Return the files that git knows, by their path from the root."""
        try:
            git(self.root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
            return frozenset(lines_of(git(self.root, "ls-files", "-z")))
        except GitError as error:
            raise FailedError(
                f"{self.root} has no commit of git's: {error}", "run `git init` and commit the files", "repository"
            ) from None

    @cached_property
    def settings(self) -> UsedSettings:
        """Load the settings in a process of their own, without this shell's variables."""
        ended = subprocess.run(
            [sys.executable, "-c", _PROBE],
            cwd=self.root,
            env=evaluators_environment(),
            capture_output=True,
            timeout=_PROBE_SECONDS,
            text=True,
            errors="replace",
            check=False,
        )
        if ended.returncode != 0:
            said = (ended.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise FailedError(f"do not load: {said}", "mend models/settings.yaml (docs/settings.md)", "settings")
        loaded = json.loads(ended.stdout.splitlines()[-1])
        adapters = (
            UsedAdapter(each["name"], Path(os.path.normpath(each["folder"])), each["engine"])
            for each in loaded["adapters"]
        )
        return UsedSettings(loaded["settings"], Path(loaded["folder"]), tuple(adapters))

    @property
    def needs_weights(self) -> bool:
        """Tell whether the engine of the settings loads a model at all."""
        return self.settings.engine("name") != "scripted"

    @cached_property
    def weights_folder(self) -> Path:
        """Return the folder of the weights; it lies in the repository."""
        if not self.needs_weights:
            raise NotCheckedError("the scripted engine has no weights")
        folder = Path(os.path.normpath(self.settings.folder))
        if not folder.resolve().is_relative_to(self.root) or folder.resolve() == self.root:
            raise FailedError(
                f"the weights lie outside of the repository: {folder}",
                "put the folder under models/weights/ and name it by a path relative to the repository",
                "paths",
            )
        return folder

    @cached_property
    def adapters(self) -> tuple[UsedAdapter, ...]:
        """Return the adapters that are loaded; their folders lie in the repository."""
        if not self.needs_weights:
            raise NotCheckedError("the scripted engine has no adapters")
        for adapter in self.settings.adapters:
            if not adapter.folder.resolve().is_relative_to(self.root):
                raise FailedError(
                    f"an adapter lies outside of the repository: {adapter.folder}",
                    "put the folder under models/adapters/ and name it by a path relative to the repository",
                    "paths",
                )
        return self.settings.adapters

    @cached_property
    def weights_files(self) -> tuple[str, ...]:
        """Return the files that a submission adds from the weights' folder, by their path from the root.

        Hidden folders are left out: a download keeps its own records there.
        """
        found = []
        for folder, folders, files in os.walk(self.weights_folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [Path(folder, name).relative_to(self.root).as_posix() for name in sorted(files)]
        return tuple(found)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Return every file of a submission: what git knows, and the weights."""
        weights = self.weights_files if self.needs_weights else ()
        return tuple(sorted(self.tracked.union(weights)))

    @property
    def private_filters(self) -> tuple[str, ...]:
        """Return the files with rules for filters that git heeds here and no push carries."""
        if not self.tracked:
            return ()
        own = Path(os.fsdecode(git(self.root, "rev-parse", "--git-path", "info/attributes").rstrip(b"\n")))
        above = (
            folder / ".gitattributes" for folder in self.weights_folder.parents if folder.is_relative_to(self.root)
        )
        unsent = (path for path in above if path.relative_to(self.root).as_posix() not in self.tracked)
        return tuple(
            path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)
            for path in (self.root / own, *unsent)
            if path.is_file() and _FILTER.search(path.read_text(encoding="utf-8", errors="replace"))
        )

    def stored_by_lfs(self, files: Sequence[str]) -> frozenset[str]:
        """Return those of `files` that the repository's own .gitattributes give to Git LFS."""
        if not self.tracked:
            return frozenset()
        output = git(
            self.root,
            *("-c", "core.attributesFile=/dev/null", "check-attr", "-z", "--stdin", "filter"),
            stdin=b"".join(os.fsencode(name) + b"\0" for name in files),
            variables={"GIT_ATTR_NOSYSTEM": "1"},
        )
        fields = lines_of(output)
        return frozenset(name for name, value in zip(fields[::3], fields[2::3], strict=True) if value == "lfs")


def evaluators_environment() -> dict[str, str]:
    """Return this process's environment without what would not be set on the evaluator's machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_THE_EVALUATORS)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
