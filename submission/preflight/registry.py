"""All checks, in the order of the report, and the report; a new check is a function and a line here."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from submission.preflight import image, imports, metadata, paths
from submission.preflight.machine_fit import check_gpu
from submission.preflight.model_run import Run
from submission.preflight.named_folders import check_adapters, check_catalogue
from submission.preflight.repository import FailedError, NotCheckedError, Repository, Request
from submission.preflight.weight_files import check_format, check_lfs, check_sizes, check_weights
from utilities.errors import UserError
from utilities.files import ROOT
from utilities.options import command_parser, positive

CHECKS: tuple[tuple[str, Callable[[Repository], str]], ...] = (
    ("repository", metadata.check_repository),
    ("aicrowd.json", metadata.check_aicrowd),
    ("track", metadata.check_track),
    ("settings", metadata.check_settings),
    ("weights", check_weights),
    ("adapters", check_adapters),
    ("gpu flag", check_gpu),
    ("weights format", check_format),
    ("git lfs", check_lfs),
    ("sizes", check_sizes),
    ("catalogue", check_catalogue),
    (".dockerignore", image.check_dockerignore),
    ("Dockerfile", image.check_dockerfile),
    ("apt.txt", image.check_apt),
    ("requirements", image.check_requirements),
    ("imports", imports.check_imports),
    ("paths", paths.check_paths),
    ("committed", metadata.check_committed),
    ("tag", metadata.check_tag),
)
# All of these read the results of one run.
RUN_CHECKS: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("model run", Run.check_answers),
    ("network", Run.check_network),
    ("files", Run.check_files),
    ("time", Run.check_time),
    ("memory", Run.check_memory),
)
State = Literal["ok", "FAIL", "skip"]
_WIDTH = max(len(name) for name, _ in (*CHECKS, *RUN_CHECKS))


@dataclass(frozen=True)
class Verdict:
    """One line of the report."""

    check: str
    state: State
    found: str
    remedy: str = ""


def judged(name: str, check: Callable[[], str]) -> Verdict:
    """Make one check; it returns a verdict for every repository, also for a broken one."""
    try:
        return Verdict(name, "ok", check())
    except FailedError as error:
        if error.owner in (None, name):
            return Verdict(name, "FAIL", error.found, error.remedy)
        return Verdict(name, "skip", f"needs {error.owner!r}, which failed")
    except NotCheckedError as error:
        return Verdict(name, "skip", str(error))
    except Exception as error:  # noqa: BLE001 - the report must be complete for a broken repository too
        found = f"cannot be checked: {type(error).__name__}: {' '.join(str(error).split())}"
        return Verdict(name, "FAIL", found, "fix the cause, then run preflight again")


def verdicts(request: Request) -> Iterator[Verdict]:
    """Make every check, one after the other."""
    repository = Repository(request)
    for name, check in CHECKS:
        yield judged(name, lambda check=check: check(repository))  # type: ignore[misc]
    run = Run(repository)
    for name, check_run in RUN_CHECKS:
        yield judged(name, lambda check=check_run: check(run))  # type: ignore[misc]


def preflight(request: Request) -> list[Verdict]:
    """Make all checks and print each verdict at once; raise a `UserError` if the root is not a folder."""
    if not request.root.is_dir():
        raise UserError(f"--root {request.root} is not a folder: name the root of a repository")
    found = []
    for verdict in verdicts(request):
        print(f"{verdict.state:<5}{verdict.check:<{_WIDTH + 2}}{verdict.found}", flush=True)
        if verdict.remedy:
            print(f"{'':<{_WIDTH + 7}}remedy: {verdict.remedy}", flush=True)
        found.append(verdict)
    skipped = sum(verdict.state == "skip" for verdict in found)
    print(f"{len(found)} checks: {failures(found)} failed, {skipped} skipped")
    return found


def failures(found: Iterable[Verdict]) -> int:
    """Return the number of failed checks."""
    return sum(verdict.state == "FAIL" for verdict in found)


def preflight_parser(command: str, description: str | None, examples: str) -> argparse.ArgumentParser:
    """Return a parser with the options that preflight and submit share."""
    parser = command_parser(f"python -m submission.{command}", description, examples)
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="the repository (default: this one)")
    parser.add_argument("--remote", default="origin", metavar="NAME", help="the tag's remote (default: %(default)s)")
    run = parser.add_mutually_exclusive_group()
    run.add_argument("--skip-run", dest="questions", action="store_const", const=None, help="do not run the model")
    count = "how many questions the run answers (default: %(default)s)"
    run.add_argument("--questions", type=positive, metavar="N", help=count)
    # Two options set this value, and argparse would take the default of the first.
    parser.set_defaults(questions=16)
    return parser
