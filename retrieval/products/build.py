"""Build a catalogue: one pass over each file of products and judgements, in memory that does not grow with them."""

from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from retrieval.lexical import stemmer
from retrieval.products.catalogue import query_words, stored_query
from retrieval.products.columns import INDEXABLE, Columns
from retrieval.products.exclusion_list import read_exclusion_list
from retrieval.products.leak_guard import Guard
from retrieval.products.manifest import (
    PRODUCTS,
    QUERIES,
    BuildSettings,
    Counts,
    Manifest,
    Source,
    write_manifest,
)
from retrieval.products.passes import BuildState, JudgementPass, ProductPass
from retrieval.products.search_engine import writing
from retrieval.products.staging import Staging, staging
from retrieval.products.workspace import workspace
from utilities.errors import UserError

MOST_TITLES = 10
"""The most relevant titles that a known query keeps."""

_STAGING = "staging.sqlite"


@dataclass(frozen=True)
class Request:
    """What to build, of which files, and where.

    Attributes:
        output: the catalogue's folder.
        sources: files of products.
        judgements: files of queries with the products relevant to them.
        columns: the columns of the sources.
        judgement_columns: the columns of the judgements.
        settings: the fields to index, and the rows to take.
        exclude: exclusion lists of evaluation files.
        force: replace an existing catalogue.
    """

    output: Path
    sources: tuple[Path, ...]
    judgements: tuple[Path, ...]
    columns: Columns
    judgement_columns: Columns
    settings: BuildSettings
    exclude: tuple[Path, ...] = ()
    force: bool = False


def build(request: Request) -> Manifest:
    """Build the catalogue, move it into place, and return its manifest.

    Raises:
        UserError: a setting or a file cannot be used, another build fills the same folder, or the disk is full or
            cannot be written; an existing catalogue is untouched then.
    """
    _check(request.settings)
    with workspace(request.output, force=request.force) as folder:
        excluded = [each for path in request.exclude for each in read_exclusion_list(path)]
        guard = Guard(excluded, request.settings.stemming)
        database = folder / _STAGING
        with staging(database) as staged:
            sources, counts = _build_indexes(request, folder, staged, guard)
        database.unlink()
        left_out = tuple(evaluation.excluded() for evaluation in guard.evaluations)
        return write_manifest(folder, request.settings, sources, counts, left_out)


def _check(settings: BuildSettings) -> None:
    stemmer(settings.stemming)
    unknown = [field for field in settings.indexed if field not in INDEXABLE]
    if unknown or not settings.indexed:
        raise UserError(f"--index: there is no field {', '.join(unknown)!r}: use some of {', '.join(INDEXABLE)}")


def _build_indexes(request: Request, folder: Path, staged: Staging, guard: Guard) -> tuple[tuple[Source, ...], Counts]:
    size = _total_bytes((*request.sources, *request.judgements))
    with tqdm(total=size, unit="B", unit_scale=True, desc="reading", disable=None) as progress:
        state = BuildState(request.settings, staged, guard, progress)
        with writing(folder / PRODUCTS) as writer:
            products = ProductPass(state, request.columns, writer)
            sources = [products.add_file(path) for path in request.sources]
        _check_filter("--locales", request.settings.locales, products.locales)
        if not products.kept:
            raise UserError(f"there is no product to index: {_reasons(sources)}")
        judged = JudgementPass(state, request.judgement_columns)
        sources += [judged.add_file(path) for path in request.judgements]
    if request.settings.split and request.judgements:
        _check_filter("--split", (request.settings.split,), judged.splits)
    queries = _write_queries(folder / QUERIES, staged, request.settings.stemming)
    return tuple(sources), Counts(products.kept, products.duplicates, queries, judged.kept)


def _check_filter(option: str, wanted: Sequence[str], found: Set[str]) -> None:
    """Raise a `UserError` if a name by which rows are chosen is that of no row; it lists the names that rows have."""
    if unknown := [name for name in wanted if name not in found]:
        known = ", ".join(sorted(found - {""})[:20]) or "none: leave the option out"
        raise UserError(f"{option}: no row has {unknown[0]!r}: the files have {known}")


def _write_queries(folder: Path, staged: Staging, stemming: str) -> int:
    """Write the index of known queries and return their number."""
    count = 0
    with writing(folder) as writer:
        for known in staged.known_queries(MOST_TITLES):
            writer.add(query_words(known.text, stemming), stored_query(known.text, known.titles), known.key)
            count += 1
    return count


def _reasons(sources: Sequence[Source]) -> str:
    dropped = [f"{each.rows} rows with {each.reason}" for source in sources for each in source.dropped]
    return f"the sources hold {', '.join(dropped) or 'no row'}; name other files or other settings"


def _total_bytes(paths: Sequence[Path]) -> int:
    """Return the size of all files; one that cannot be read counts as 0, and the error comes when it is read."""
    total = 0
    for path in paths:
        with suppress(OSError, ValueError):
            total += path.stat().st_size
    return total
