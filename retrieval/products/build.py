"""Make a catalogue of the files that people have, in one pass over each, in memory that does not grow with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from retrieval.products.catalogue import query_words, stored_query
from retrieval.products.columns import INDEXABLE, Columns
from retrieval.products.exclusion import Guard
from retrieval.products.judgement_pass import JudgementPass
from retrieval.products.manifest import (
    FORMAT,
    PRODUCTS,
    QUERIES,
    BuildSettings,
    Counts,
    Manifest,
    Source,
    file_entries,
    folding,
    now,
    versions,
    write_manifest,
)
from retrieval.products.product_pass import ProductPass
from retrieval.products.readers import Batch, Reading, read_batches
from retrieval.products.search_engine import Writer, writing
from retrieval.products.staging import Staging, staging
from retrieval.products.tally import Exclusions
from retrieval.products.workspace import workspace
from retrieval.words import stemmer
from utilities.errors import UserError

MOST_TITLES = 10
"""How many relevant titles are kept of a known query."""

_STAGING = "staging.sqlite"


@dataclass(frozen=True)
class Request:
    """What to build, of which files, and where.

    Attributes:
        output: the catalogue's folder.
        sources: files of products.
        judgements: files of queries with the products relevant to them.
        columns: where a source's row holds what.
        judgement_columns: the same for judgements.
        settings: what is indexed, and which rows are taken.
        exclude: evaluation files whose products and queries are left out.
        force: replace an existing catalogue.
        batch_rows: how many rows are read at a time.
    """

    output: Path
    sources: tuple[Path, ...]
    judgements: tuple[Path, ...]
    columns: Columns
    judgement_columns: Columns
    settings: BuildSettings
    exclude: tuple[Path, ...] = ()
    force: bool = False
    batch_rows: int = 1000


def build(request: Request) -> Manifest:
    """Build the catalogue, put it in its place, and return what it says of itself.

    Raises:
        UserError: a setting or a file cannot be used, another build is at work on the same folder, or the disk is full
            or cannot be written; what stood in the place of the catalogue is untouched then.
    """
    _check(request.settings)
    with workspace(request.output, force=request.force) as folder:
        guard = Guard.read(request.exclude, request.settings.stemming)
        database = folder / _STAGING
        with staging(database) as staged:
            sources, excluded, counts = _build_indexes(request, folder, staged, guard)
        database.unlink()
        manifest = Manifest(
            format=FORMAT,
            created=now(),
            versions=versions(),
            settings=request.settings,
            folding=folding(request.settings.stemming),
            sources=sources,
            counts=counts,
            excluded=excluded.excluded(),
            files=file_entries(folder),
        )
        write_manifest(folder, manifest)
    return manifest


def _check(settings: BuildSettings) -> None:
    stemmer(settings.stemming)
    unknown = [field for field in settings.indexed if field not in INDEXABLE]
    if unknown or not settings.indexed:
        raise UserError(f"--index: there is no field {', '.join(unknown)!r}: use some of {', '.join(INDEXABLE)}")


def _build_indexes(
    request: Request, folder: Path, staged: Staging, guard: Guard
) -> tuple[tuple[Source, ...], Exclusions, Counts]:
    excluded = Exclusions(guard)
    with tqdm(total=_total_bytes(request), unit="B", unit_scale=True, desc="reading", disable=None) as bar:
        progress = _Progress(bar, request.batch_rows)
        with writing(folder / PRODUCTS) as writer:
            products = ProductPass(request.settings, request.columns, staged, guard, excluded, writer)
            sources = [products.add_file(path, progress.batches) for path in request.sources]
        if not products.kept:
            raise UserError(f"there is no product to index: {_reasons(sources)}")
        judged = JudgementPass(request.settings, request.judgement_columns, staged, guard, excluded)
        sources += [judged.add_file(path, progress.batches) for path in request.judgements]
    with writing(folder / QUERIES) as writer:
        queries = _write_queries(writer, staged, request.settings.stemming)
    return tuple(sources), excluded, Counts(products.kept, products.duplicates, queries, judged.kept)


def _write_queries(writer: Writer, staged: Staging, stemming: str) -> int:
    count = 0
    for known in staged.known_queries(MOST_TITLES):
        writer.add(query_words(known.text, stemming), stored_query(known.text, known.titles), known.key)
        count += 1
    return count


def _reasons(sources: Sequence[Source]) -> str:
    dropped = [f"{each.rows} rows with {each.reason}" for source in sources for each in source.dropped]
    return f"the sources hold {', '.join(dropped) or 'no row'}; name other files or other settings"


def _total_bytes(request: Request) -> int:
    return sum(_bytes(path) for path in (*request.sources, *request.judgements))


def _bytes(path: Path) -> int:
    """Return a file's size, 0 where there is none to tell: reading the file says what is wrong with it."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


class _Progress:
    """Shows how many bytes of all files have been read."""

    def __init__(self, bar: "tqdm[object]", batch_rows: int) -> None:
        self._bar = bar
        self._batch_rows = batch_rows

    def batches(self, path: Path, columns: Columns, needed: Sequence[tuple[str, ...]]) -> Iterator[Batch]:
        """Yield a file's rows."""
        self._bar.set_postfix_str(path.name)
        before = 0
        for batch in read_batches(Reading(path, columns, needed, self._batch_rows)):
            yield batch
            self._bar.update(batch.position - before)
            before = batch.position
