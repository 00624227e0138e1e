"""All checks, in the order of the report; adding one is its function and a line here."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence

from submission.preflight import adapter_files as adapters
from submission.preflight import catalogue_folder as knowledge
from submission.preflight import image, imports, metadata, paths
from submission.preflight import weight_files as weights
from submission.preflight.model_run import Run
from submission.preflight.repository import Repository, Request
from submission.preflight.verdict import State, Verdict, judged
from utilities.errors import UserError
from utilities.options import positive

RUN_QUESTIONS = 16


CHECKS: tuple[tuple[str, Callable[[Repository], str]], ...] = (
    ("repository", metadata.check_repository),
    ("aicrowd.json", metadata.check_aicrowd),
    ("track", metadata.check_track),
    ("settings", weights.check_settings),
    ("weights", weights.check_weights),
    ("adapters", adapters.check_adapters),
    ("gpu flag", weights.check_gpu),
    ("weights format", weights.check_format),
    ("git lfs", weights.check_lfs),
    ("sizes", weights.check_sizes),
    ("catalogue", knowledge.check_catalogue),
    (".dockerignore", image.check_dockerignore),
    ("Dockerfile", image.check_dockerfile),
    ("apt.txt", image.check_apt),
    ("requirements", image.check_requirements),
    ("imports", imports.check_imports),
    ("paths", paths.check_paths),
    ("committed", metadata.check_committed),
    ("tag", metadata.check_tag),
)
# One run serves these.
RUN_CHECKS: tuple[tuple[str, Callable[[Run], str]], ...] = (
    ("model run", Run.check_answers),
    ("network", Run.check_network),
    ("files", Run.check_files),
    ("time", Run.check_time),
    ("memory", Run.check_memory),
)


def verdicts(request: Request) -> Iterator[Verdict]:
    """Make every check, one after the other."""
    repository = Repository(request)
    for name, check in CHECKS:
        yield judged(name, lambda check=check: check(repository))  # type: ignore[misc]
    run = Run(repository)
    for name, check_run in RUN_CHECKS:
        yield judged(name, lambda check=check_run: check(run))  # type: ignore[misc]


def preflight(request: Request) -> list[Verdict]:
    """Make all checks and print each as it is made.

    Raises:
        UserError: the root is no folder.
    """
    if not request.root.is_dir():
        raise UserError(f"--root {request.root} is no folder: name the root of a repository")
    found = []
    for verdict in verdicts(request):
        print_verdict(verdict)
        found.append(verdict)
    print(summary(found))
    return found


_WIDTH = max(len(name) for name, _ in (*CHECKS, *RUN_CHECKS))


def print_verdict(verdict: Verdict) -> None:
    """Print one line, and the remedy below it when there is one."""
    print(f"{verdict.state:<5}{verdict.check:<{_WIDTH + 2}}{verdict.found}", flush=True)
    if verdict.remedy:
        print(f"{'':<{_WIDTH + 7}}remedy: {verdict.remedy}", flush=True)


def failures(found: Iterable[Verdict]) -> int:
    """Return how many checks failed."""
    return sum(verdict.state is State.FAIL for verdict in found)


def summary(found: Sequence[Verdict]) -> str:
    """Return the last line of the report."""
    skipped = sum(verdict.state is State.SKIP for verdict in found)
    return f"{len(found)} checks: {failures(found)} failed, {skipped} left out"


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add how much the model is run."""
    parser.add_argument("--skip-run", action="store_true", help="do not run the model")
    parser.add_argument(
        "--questions",
        type=positive,
        default=RUN_QUESTIONS,
        metavar="N",
        help="how many questions the run answers (default: %(default)s)",
    )
