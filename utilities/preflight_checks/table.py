"""All checks, in the order of the report; adding one is its function and a line here."""

from collections.abc import Callable, Iterator

from utilities.preflight_checks import adapters, image, imports, knowledge, metadata, paths, weights
from utilities.preflight_checks.repository import Repository, Request
from utilities.preflight_checks.run import Run
from utilities.preflight_checks.verdict import Verdict, judged

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
