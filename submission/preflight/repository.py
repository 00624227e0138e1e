"""The repository that preflight checks, its properties that several checks use, and the errors of a failed check."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from utilities.errors import UserError
from utilities.git import GitError, git, lines_of
from utilities.tracks import TRACKS, Track
from utilities.typed_yaml import build, checked

AICROWD = "aicrowd.json"
SHOWN = 3
# The evaluator sets none of these, and a personal cache would hide a file that the repository lacks.
_NOT_THE_EVALUATORS = ("SHOPALIGN_", "HF_", "TRANSFORMERS_", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")
# A rule of .gitattributes that sets or unsets a filter: a pattern, then attributes.
_FILTER = re.compile(r"^[ \t]*[^#\s].*[ \t][-!]?filter(=|[ \t]|$)", re.MULTILINE)
_PROBE = """\
import dataclasses, json, os
from models.cooperation import engine_settings
from models.engines.settings import adapter_folders, weights_folder
from models.settings import load_settings
settings = load_settings()
values = {"settings": dataclasses.asdict(settings), "folder": str(weights_folder(settings.engine))}
values["adapters"] = [
    (name, os.path.normpath(folder), engine.name)
    for engine in engine_settings(settings).values() for name, folder in adapter_folders(engine).items() if folder
]
print(json.dumps(values, default=str))
"""
_PROBE_SECONDS = 120.0


class FailedError(Exception):
    """The problem that a check found, and its remedy; with an `owner`, only that check fails and others are skipped."""

    def __init__(self, found: str, remedy: str, owner: str | None = None) -> None:
        super().__init__(found)
        self.found, self.remedy, self.owner = found, remedy, owner


class NotCheckedError(Exception):
    """The reason why a check was skipped."""


def listed(names: Sequence[str]) -> str:
    """Return the first few names and the number of the others."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


@dataclass(frozen=True)
class Request:
    """The options of a preflight; `aicrowd` replaces the text of aicrowd.json, `questions` is None to skip the run."""

    root: Path
    track: Track | None = None
    tag: str | None = None
    remote: str = "origin"
    questions: int | None = None
    aicrowd: str | None = None


@checked
class Aicrowd:
    """The fields of aicrowd.json that the evaluator reads."""

    challenge_id: str
    authors: tuple[str, ...]
    gpu: bool
    description: str = ""

    def __post_init__(self) -> None:
        if not self.authors or not all(name.strip() for name in self.authors):
            raise ValueError(f"authors is {list(self.authors)!r}; write at least one AIcrowd user name")


class UsedAdapter(NamedTuple):
    """A LoRA adapter as the settings or the model registry name it, its folder, and the engine that runs it."""

    name: str
    folder: Path
    engine: str


@dataclass(frozen=True)
class UsedSettings:
    """The settings as the evaluator loads them, with the folders of the weights and adapters."""

    values: Mapping[str, Any]
    folder: Path
    adapters: tuple[UsedAdapter, ...]

    def engine(self, name: str) -> str:
        """Return a setting of the engine as text, "" if there is none of this name."""
        return str(self.values["engine"].get(name, ""))


class Repository:
    """One repository, read only; a property raises `FailedError` with the check that reports the failure."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.root = request.root.resolve()

    def name_of(self, path: Path) -> str:
        """Return a path inside the repository relative to the root."""
        return path.relative_to(self.root).as_posix()

    @cached_property
    def aicrowd(self) -> Aicrowd:
        """Return the validated content of aicrowd.json."""
        remedy = "write it as docs/submission.md shows"
        try:
            content = json.loads(self.request.aicrowd or (self.root / AICROWD).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise FailedError(f"cannot be read: {error}", remedy, AICROWD) from None
        if not isinstance(content, dict):
            raise FailedError(f"holds a {type(content).__name__}, not an object", "put it into { and }", AICROWD)
        try:
            return build(Aicrowd, content, "", "field")
        except UserError as error:
            raise FailedError(str(error), remedy, AICROWD) from None

    @cached_property
    def track(self) -> Track:
        """Return the track that aicrowd.json names."""
        named, tracks = self.aicrowd.challenge_id, {track.challenge_id: track for track in TRACKS}
        if named not in tracks:
            raise FailedError(f"challenge_id {named!r} is not a track", f"write one of: {', '.join(tracks)}", AICROWD)
        return tracks[named]

    @cached_property
    def tracked(self) -> frozenset[str]:
        """Return the files that git tracks, relative to the root."""
        try:
            git(self.root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
            return frozenset(lines_of(git(self.root, "ls-files", "-z")))
        except GitError as error:
            raise FailedError(
                f"{self.root} has no git commit: {error}", "run `git init` and commit the files", "repository"
            ) from None

    @cached_property
    def _loaded(self) -> UsedSettings | FailedError:
        try:
            return loaded_settings(self.root)
        except FailedError as error:
            return error

    @property
    def settings(self) -> UsedSettings:
        """Return the settings as the evaluator loads them; a process loads them once, also if it fails."""
        if isinstance(self._loaded, FailedError):
            raise self._loaded
        return self._loaded

    @property
    def needs_weights(self) -> bool:
        """Return whether the engine of the settings loads a model."""
        return self.settings.engine("name") != "scripted"

    @cached_property
    def weights_folder(self) -> Path:
        """Return the folder of the weights; it lies in the repository."""
        if not self.needs_weights:
            raise NotCheckedError("the scripted engine has no weights")
        folder = Path(os.path.normpath(self.settings.folder))
        self._require_inside("the weights lie", folder, "models/weights/")
        return folder

    @cached_property
    def adapters(self) -> tuple[UsedAdapter, ...]:
        """Return the adapters that are loaded; their folders lie in the repository."""
        if not self.needs_weights:
            raise NotCheckedError("the scripted engine has no adapters")
        for adapter in self.settings.adapters:
            self._require_inside("an adapter lies", adapter.folder, "models/adapters/")
        return self.settings.adapters

    def _require_inside(self, subject: str, folder: Path, parent: str) -> None:
        if self.root not in folder.resolve().parents:
            raise FailedError(
                f"{subject} outside of the repository: {folder}",
                f"put the folder under {parent} and name it by a path relative to the repository",
                "paths",
            )

    def walk_weights(self) -> Iterator[tuple[Path, list[str], list[str]]]:
        """Walk the folder of the weights like `os.walk`, without hidden folders: downloads keep records there."""
        for folder, folders, files in os.walk(self.weights_folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield Path(folder), folders, sorted(files)

    @cached_property
    def weights_files(self) -> tuple[str, ...]:
        """Return the files of the weights that a submission adds, relative to the root."""
        walked = self.walk_weights()
        return tuple(self.name_of(folder / name) for folder, _, files in walked for name in files)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Return every file of a submission: those that git tracks, and the weights."""
        return tuple(sorted(self.tracked.union(self.weights_files if self.needs_weights else ())))

    @property
    def private_filters(self) -> tuple[str, ...]:
        """Return the files whose filter rules git applies here, but no push carries."""
        if not self.tracked:
            return ()
        info = Path(os.fsdecode(git(self.root, "rev-parse", "--git-path", "info/attributes").rstrip(b"\n")))
        inner = (folder for folder in self.weights_folder.parents if folder.is_relative_to(self.root))
        above = (folder / ".gitattributes" for folder in inner)
        untracked = (path for path in above if self.name_of(path) not in self.tracked)
        return tuple(
            self.name_of(path) if path.is_relative_to(self.root) else str(path)
            for path in (self.root / info, *untracked)
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


def loaded_settings(root: Path) -> UsedSettings:
    """Load the settings of the repository `root` in a separate process, without this shell's variables."""
    ended = subprocess.run(
        [sys.executable, "-c", _PROBE],
        cwd=root,
        env=evaluators_environment(),
        capture_output=True,
        timeout=_PROBE_SECONDS,
        text=True,
        errors="replace",
        check=False,
    )
    if ended.returncode != 0:
        said = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise FailedError(f"do not load: {said}", "correct models/settings.yaml (docs/settings.md)", "settings")
    loaded = json.loads(ended.stdout.splitlines()[-1])
    adapters = tuple(UsedAdapter(name, Path(folder), engine) for name, folder, engine in loaded["adapters"])
    return UsedSettings(loaded["settings"], Path(loaded["folder"]), adapters)


def evaluators_environment() -> dict[str, str]:
    """Return this process's environment without the variables that the evaluator does not set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_THE_EVALUATORS)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
